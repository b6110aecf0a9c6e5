#!/usr/bin/perl

# A session that was made over QUIC on one machine resumes over QUIC on another,
# where handshakes over QUIC wait for the store (suspend=retry).  In the other
# ways they cannot: they resume from the tier of the machine, and are full ones
# elsewhere.  What comes over TCP resumes everywhere, beside it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http_v3/)->has_daemon('gtlsclient');

my ($redis) = pair($t,
	http => 'ssl_session_cache shared:SSL:1m;',
	quic => 8980,
	body => '$http3 $ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(9);

###############################################################################

my $waits = quic_waits($t);

is(quic_get($t, 8980), 'h3 . ', 'QUIC, full handshake');
is(scalar $redis->wait_keys(2), 2, 'QUIC, stored');
is(quic_get($t, 8980), 'h3 r LOCAL', 'QUIC, resumed on this machine');
is(quic_get($t, 8981), $waits ? 'h3 r HIT' : 'h3 . MISS', 'QUIC, on another');
is(quic_get($t, 8981), 'h3 r LOCAL', 'QUIC, then resumed there');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);

	ok($redis->wait_id(session_id($r->{session})), "$version, stored");
	is(tls_get(8444, version => $version,
		session => $r->{session})->{body}, ' r HIT', "$version, resumed");
}

###############################################################################
