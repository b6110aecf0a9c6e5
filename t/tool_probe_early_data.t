#!/usr/bin/perl

# The probe of the tool sends early data of a session to one machine and then to
# another: it tells a fleet that accepts it once from one where it can be replayed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();

my %options = (server => 'ssl_early_data on; access_log early.log;');

pair($t, %options, cache => 'type=%%STORE%% timeout=5s');

# Two with replay, one that takes no early data, and one that takes sessions out

instance($t, 'twice_a', 8445, 'single_use=off', %options);
instance($t, 'twice_b', 8446, 'single_use=off', %options);
instance($t, 'refuses', 8447, '');
instance($t, 'taken', 8448, 'single_use=on', %options);
$t->plan(18);

my ($a, $b, $twice_a, $twice_b, $refuses, $taken)
	= map { '127.0.0.1:' . port($_) } 8443 .. 8448;

###############################################################################

my $r = probe($a, $b);

is($r->{status}, 0, 'accepted once');
like($r->{out}, qr!^\Q$a\E  early data +3/3 accepted, none again on \Q$b\E$!m, 'on the first');
like($r->{out}, qr!^\Q$b\E  early data +3/3 accepted, none again on \Q$a\E$!m,
	'on the second');
like($r->{out}, qr/\n\nall of it resumes everywhere\n\z/, 'what it comes to');

$r = probe($a);

is($r->{status}, 0, 'one server alone');
like($r->{out}, qr!^\Q$a\E  early data +3/3 accepted, none again on \Q$a\E$!m, 'with itself');

# Sessions that can be used once as a whole

$r = probe($taken);

is($r->{status}, 0, 'used once');
like($r->{out}, qr!^\Q$taken\E  early data +3/3 accepted, none again on !m, 'early data');

# What is sent

like($t->read_file('early.log'), qr!"GET / HTTP/1.1" 200 \d+ "-" "ssl-session-cache/!,
	'a request');
probe('--path', '/early?1', $a);
like($t->read_file('early.log'), qr!"GET /early\?1 HTTP/1.1"!, 'with a path');
is(scalar grep({ !/"GET / } split /\n/, $t->read_file('early.log')), 0, 'nothing else');

# With replay

$r = probe($twice_a, $twice_b);

is($r->{status}, 1, 'accepted twice');
like($r->{out}, qr!^\Q$twice_a\E  early data +3/3 accepted, 3 again on \Q$twice_b\E$!m,
	'by which');
like($r->{out}, qr/\n\n.*\Q$twice_a accepted was accepted again by $twice_b\E, it can be replayed/,
	'what it comes to');

# Not everywhere

$r = probe($a, $refuses);

is($r->{status}, 1, 'refused by one');
like($r->{out}, qr!^\Q$refuses\E  early data +0/3 accepted$!m, 'by which');
like($r->{out}, qr/^early data is accepted by \Q$a\E, refused by \Q$refuses\E: same ssl_early/m,
	'what it comes to');

unlike(probe($refuses)->{out}, qr/early data/, 'not sent where no session allows it');

###############################################################################

sub instance {
	my ($t, $name, $port, $cache, %opts) = @_;

	SSLSessionCache::Nginx->new($t, $name, config(%opts,
		cache => "type=%%STORE%% timeout=5s $cache", port => $port));
}

sub probe {
	return tool('probe', '--insecure', '--name', 'localhost', @_);
}

###############################################################################
