#!/usr/bin/perl

# A server may keep sessions for longer than the week that TLS 1.3 and the store
# do: early data is accepted there as well, once, and a claim lies in the store for
# that week and two minutes more.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

use constant CLAIM => 7 * 86400 + 120;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = pair($t,
	cache => 'type=%%STORE%% timeout=5s',
	server => 'ssl_session_timeout 40d; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(3);

###############################################################################

my $session = tls_get(8443, version => 'TLSv1.3')->{session};
$store->wait_id(session_id($session));

is(offer_early($t, 8444, $session), 'reused accepted HIT CLAIMED', 'accepted');

my $ttl = $store->ttl(claim_key($store->key(session_id($session)))) // 0;
ok($ttl > CLAIM - 10 && $ttl <= CLAIM + 1, "the claim's time")
	or diag("TTL is $ttl");

is(offer_early($t, 8443, $session), 'reused rejected HIT REPLAYED', 'once');

###############################################################################
