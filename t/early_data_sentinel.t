#!/usr/bin/perl

# Claims are made at the master that Sentinels name, and go over to the next one
# with a failover: early data is accepted once, and with no master no handshake
# fails for it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::RedisSentinel->new($t);

pair($t,
	store => $redis,
	cache => 'store=fleet',
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
	main => <<'EOM',
remote_ssl_session_store fleet {
    type     redis;
    sentinel mymaster;
    server   127.0.0.1:8361;
    server   127.0.0.1:8362;
    server   127.0.0.1:8363;
    timeout  1s;
}
EOM
);
$t->plan(8);

###############################################################################

ok(wait_until(sub { offer_early($t, 8444, made())
	eq 'reused accepted HIT CLAIMED' }), 'accepted');

my $session = made();

is(offer_early($t, 8444, $session), 'reused accepted HIT CLAIMED', 'before');

my $unused = made();

ok($redis->wait_replicated() && $redis->failover(), 'another master');
ok(wait_until(sub { offer_early($t, 8444, made()) =~ / accepted .*CLAIMED$/ }),
	'another master, accepted');
is(offer_early($t, 8443, $session), 'reused rejected LOCAL REPLAYED',
	'another master, not again');
is(offer_early($t, 8443, $unused), 'reused accepted LOCAL CLAIMED',
	'another master, what was not claimed');

# none at all

$session = made();
$redis->kill9($_) foreach $redis->nodes();
is(offer_early($t, 8443, $session), 'reused rejected LOCAL UNCLAIMED',
	'no master, resumed without early data');
like(offer_early($t, 8444, $session), qr/^full rejected (?:DOWN|TIMEOUT)$/,
	'no master, full handshake');

###############################################################################

# What is made while the master changes is not stored.

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	wait_until(sub { $redis->has_key($redis->key(session_id($session))) }, 1);

	return $session;
}

###############################################################################
