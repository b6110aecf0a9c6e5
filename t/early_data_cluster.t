#!/usr/bin/perl

# Claims are spread over a Redis Cluster, apart from the sessions that they are
# on: early data is accepted once, also while slots move, and with a master dead
# no handshake fails.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $cluster = SSLSessionCache::RedisCluster->new($t, replicas => 0);

pair($t,
	store => $cluster,
	cache => 'store=fleet',
	server => 'ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
	main => <<'EOM',
remote_ssl_session_store fleet {
    type    redis;
    cluster on;
    server  127.0.0.1:8371;
    timeout 1s;
}
EOM
);
$t->plan(9);

###############################################################################

my $count = 12;
my $taken = qr/^reused accepted HIT CLAIMED$/;
my $replayed = qr/^reused rejected HIT REPLAYED$/;

ok(wait_until(sub { offer_early($t, 8444, made()) =~ $taken }), 'links are up');

my @sessions = map { made() } 1 .. $count;

is(unlike_all($t, $taken, 8444, @sessions), '', 'accepted');
is(unlike_all($t, $replayed, $_, @sessions), '', "not again on $_")
	foreach 8443, 8444;

my @nodes = grep { grep { /\+$/ } $_->keys() } $cluster->masters();
cmp_ok(scalar @nodes, '>', 1, 'claims at several nodes');

# slots that move, with the claims in them

my ($from, $to) = $cluster->masters();

$cluster->move_slots($from, $to, 2000);
is(unlike_all($t, $replayed, 8443, @sessions), '', 'slots have moved, not again');
is(unlike_all($t, $taken, 8444, map { made() } 1 .. $count), '',
	'slots have moved, accepted');

# a dead master

@sessions = map { made() } 1 .. $count;
$cluster->kill9($from);
my $any = qr/^(?:reused (?:accepted HIT CLAIMED|rejected HIT UNCLAIMED)|full rejected (?:DOWN|TIMEOUT))$/;

is(unlike_all($t, $any, 8444, @sessions), '', 'a master is dead, none fails');
is(unlike_all($t, qr/ rejected /, 8443, @sessions), '',
	'a master is dead, none is accepted twice');

###############################################################################

# What comes of offers, but for what is expected.

sub unlike_all {
	my ($t, $expected, $port, @offered) = @_;

	return join "\n", grep { $_ !~ $expected }
		map { offer_early($t, $port, $_) } @offered;
}

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$cluster->wait_id(session_id($session));

	return $session;
}

###############################################################################
