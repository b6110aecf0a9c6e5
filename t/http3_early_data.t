#!/usr/bin/perl

# A client of HTTP/3 sends early data right behind its ClientHello.  While the
# handshake waits for the store there are no keys for it: it is lost, sent again,
# and answered.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/))
	->has_daemon('gtlsclient');

my ($redis) = pair($t,
	cache => 'suspend=retry',
	http => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	quic => 8980,
	body => '$ssl_early_data $ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(6);

###############################################################################

is(quic_get($t, 8980), ' . ', 'full handshake');
is(scalar $redis->wait_keys(2), 2, 'stored');

# nginx takes early data over QUIC since 1.29.1, by OpenSSL 3.5.1 and later

my ($takes) = quic_get($t, 8980) =~ /^(1?) r LOCAL$/;
ok(defined $takes, 'resumed on this machine');

like(quic_get($t, 8981), qr/^1? r HIT$/, 'resumed on another');

like($t->read_file('other.log'), qr/quic no early keys, ignoring packet/,
	'its early data was lost');

is(quic_get($t, 8981), "$takes r LOCAL", 'early data, then');

###############################################################################
