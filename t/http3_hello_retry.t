#!/usr/bin/perl

# A client of HTTP/3 whose key share the server does not take says hello twice,
# and its session is looked up twice: the store is asked once, and the client is
# resumed all the same.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;
use SSLSessionCache::TLS;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/));

my ($redis) = pair($t,
	cache => 'suspend=retry',
	http => 'ssl_ecdh_curve secp384r1;',
	quic => 8980,
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(4);

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.3');
ok($redis->wait_id(session_id($r->{session})), 'stored');

is(hello_twice(), 'r HIT', 'resumed');
is($redis->calls('get'), 1, 'one lookup');

$redis->clear();
is(hello_twice(), '. MISS', 'unknown to the store');

###############################################################################

sub hello_twice {
	my $client = SSLSessionCache::QUICHello->new(8981,
		session => $r->{session});

	$client->send($client->datagram());
	$client->hello_again();

	return $client->get()->{body};
}

###############################################################################
