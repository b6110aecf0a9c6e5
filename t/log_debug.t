#!/usr/bin/perl

# The debug log tells each step of a lookup with the number of its connection.
# Without it nobody can follow the one handshake that goes wrong.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t, body => '$connection');
$t->plan(6);

###############################################################################

# The log of this nginx is written at the level "debug".

my %opts = (version => 'TLSv1.2');
my $full = tls_get(8443, %opts);
$redis->wait_id(session_id($full->{session}));
my $resumed = tls_get(8443, %opts, session => $full->{session});

my @full = steps($t, $full->{body});
my @resumed = steps($t, $resumed->{body});

is_deeply(\@full, [ 'session made', 'handshake done' ], 'full handshake');
is($resumed[0], 'lookup begun', 'lookup begins');
is($resumed[1], 'lookup done', 'lookup ends');
is($resumed[2], 'offered session: HIT', 'its outcome');
is($resumed[3], 'handshake done', 'handshake ends');
is(@resumed, 4, 'nothing else');

###############################################################################

sub steps {
	my ($t, $connection) = @_;

	return $t->read_file('error.log')
		=~ /\[debug\].*: \*$connection sslsessioncache: (.*)$/mg;
}

###############################################################################
