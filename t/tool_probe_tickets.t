#!/usr/bin/perl

# The probe of the tool tells stateless tickets from sessions in a store, and names
# a machine whose tickets are of other keys, or that gives none.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Tool;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

seal_key($t, 'cache.key');

my %options = (cache => 'type=%%STORE%% timeout=5s key=cache.key',
	server => 'ssl_early_data on;');

pair($t, %options, http => 'remote_ssl_session_tickets on;');
SSLSessionCache::Nginx->new($t, 'own',
	config(%options, port => 8445, server => 'ssl_session_tickets on;'));
SSLSessionCache::Nginx->new($t, 'without', config(%options, port => 8446));
$t->plan(12);

my ($a, $b, $own, $without) = map { '127.0.0.1:' . port($_) } 8443 .. 8446;

###############################################################################

# Machines have the same keys once both have asked the store

my $r;

ok(wait_until(sub { $r = probe($a, $b); $r->{status} == 0 }, 20), 'all resumes');

foreach my $server ($a, $b) {
	like($r->{out}, qr!^\Q$server\E  TLS 1\.2 ticket     3/3 reused, !m, 'TLS 1.2 tickets');
	like($r->{out}, qr!^\Q$server\E  TLS 1\.3 stateless  3/3 reused, !m, 'TLS 1.3 tickets');
	like($r->{out}, qr!^\Q$server\E  early data         0/3 accepted$!m, 'no early data');
}

# Tickets of nginx's own keys

$r = probe($a, $own);

is($r->{status}, 1, 'other keys');
like($r->{out}, qr!^\Q$own\E  TLS 1\.2 id         3/3 reused, !m, 'ids are resumed');
like($r->{out}, qr/^\Q$own resumes no $_ made on $a: same key= and store, with remote_ssl/m,
	"but no $_") foreach 'TLS 1.2 tickets', 'TLS 1.3 sessions';

# No tickets

like(probe($a, $without)->{out}, qr/^TLS 1\.2 tickets are given by \Q$a, not by $without\E:/m,
	'not given by all');

###############################################################################

sub probe {
	return tool('probe', '--insecure', '--name', 'localhost', @_);
}

###############################################################################
