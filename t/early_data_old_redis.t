#!/usr/bin/perl

# A Redis from before 2.6.12 has no SET with options: sessions are claimed by
# SETNX and EXPIRE, and early data is accepted once there as well.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::Misbehaving->new($t, redis => '2.6.11');

pair($t,
	store => $redis,
	cache => 'timeout=5s',
	server => 'ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(10);

###############################################################################

my ($first) = $redis->made('TLSv1.3', 1);

unlike(offer_early($t, 8444, $first), qr/failed/, 'the first one');

foreach my $port (8443, 8444) {
	my ($session) = $redis->made('TLSv1.3', 1);

	ok(wait_until(sub { offer_early($t, $port, $redis->made('TLSv1.3', 1))
		eq 'reused accepted HIT CLAIMED' }), "$port, accepted");
	is(offer_early($t, $port, $session), 'reused accepted HIT CLAIMED',
		"$port, accepted at once");
	is(offer_early($t, 8444, $session), 'reused rejected HIT REPLAYED',
		"$port, not again");
}

is(tls_get(8444, version => 'TLSv1.3', session => $first)->{reused}, 1,
	'resumed all the same');
cmp_ok($redis->calls('setnx'), '>=', 6, 'by SETNX');
cmp_ok($redis->calls('expire'), '>=', 4, 'and EXPIRE');

###############################################################################
