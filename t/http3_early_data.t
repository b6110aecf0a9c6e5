#!/usr/bin/perl

# A client of HTTP/3 sends early data right behind its ClientHello.  While the
# handshake waits for the store there are no keys for it: it is lost, and refused,
# so that the client sends it again at once.

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
	body => '$ssl_early_data $ssl_session_reused $remote_ssl_session_cache_status '
		. '$remote_ssl_session_cache_early_data',
);
$t->plan(6);

###############################################################################

is(quic_get($t, 8980), ' .  ', 'full handshake');
is(scalar $redis->wait_keys(2), 2, 'stored');

# nginx takes early data over QUIC since 1.29.1, by OpenSSL 3.5.1 and later

my ($refused) = quic_get($t, 8980) =~ /^ r LOCAL (UNCLAIMED|)$/;
ok(defined $refused, 'resumed on this machine, early data refused');

is(quic_get($t, 8981), " r HIT $refused", 'resumed on another');

like($t->read_file('other.log'), qr/quic no early keys, ignoring packet/,
	'its early data was lost');

is(quic_get($t, 8981), " r LOCAL $refused", 'resumed there again');

###############################################################################
