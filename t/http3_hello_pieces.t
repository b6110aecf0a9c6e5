#!/usr/bin/perl

# A ClientHello of HTTP/3 that does not fit into one packet, as with the keys of
# post-quantum cryptography, comes in two, in any order and with a pause between
# them.  Its session is looked up when it is complete, and not for longer than
# nginx leaves its handshake: otherwise nginx would close the connection.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/));

my $link = SSLSessionCache::Link->new($t);
my $redis = single($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=10s',
	server => 'client_header_timeout 2s;',
	quic => 8980,
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(5);

###############################################################################

my $session = h3_made(8980, $redis);

$redis->forget_calls();

is(in_parts(0, 1)->get()->{body}, 'r HIT', 'in order');
is(in_parts(1, 0)->get()->{body}, 'r HIT', 'in the other order');
is(in_parts(1, 1, 0, 1)->get()->{body}, 'r HIT', 'in parts that are sent again');
is($redis->calls('get'), 3, 'each was looked up once');

$redis->freeze();
is(in_parts(0, 1)->get()->{body}, '. TIMEOUT', 'the store is late');
$redis->thaw();

###############################################################################

# A client that has sent these of the two parts, one after the other.

sub in_parts {
	my (@parts) = @_;

	my $client = SSLSessionCache::QUICHello->new(8980, session => $session);
	my $hello = $client->hello();
	my $middle = length($hello) / 2;

	my @datagrams = map { $client->datagram($_ ? $client->crypto($middle)
		: $client->crypto(0, substr $hello, 0, $middle)) } @parts;

	foreach my $datagram (@datagrams) {
		$client->send($datagram);
		select undef, undef, undef, 0.02;
	}

	return $client;
}

###############################################################################
