#!/usr/bin/perl

# Nothing may follow a ClientHello that waits for the store: a client of HTTP/3
# that sends more all the same has nginx neither keep it nor crash.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;
use SSLSessionCache::Wait;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/));

my $link = SSLSessionCache::Link->new($t);
my $redis = single($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=20s',
	quic => 8980,
);
$t->plan(4);

my $log = $t->testdir() . '/error.log';

###############################################################################

my $worker = worker($t);
my $session = h3_made(8980, $redis);

$redis->freeze();

my @clients = map { SSLSessionCache::QUICHello->new(8980,
	session => $session) } 1 .. 50;
my $lookups = $link->lookups();

foreach my $client (@clients) {
	$client->send($client->datagram());
	$link->wait_lookups(++$lookups);
}

# up to what nginx would keep of a stream

my $before = resident_size($worker);
my $expected = received();

foreach my $client (@clients) {
	my $behind = length $client->hello();

	$client->send(map { $client->datagram($client->crypto(
		$behind + 1100 * $_, 'x' x 1100)) } 0 .. 39);
	$expected += 40;
	wait_until(sub { received() >= $expected });
}

is(received(), $expected, 'all is read');
my $kept = resident_size($worker) - $before;
cmp_ok($kept, '<', 1000, 'nothing is kept');

$redis->thaw();
is(h3_get(8980, session => $session)->{body}, 'r', 'the next client is resumed');
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# How many packets have come while handshakes wait.

sub received {
	return logged($log, 'quic recvmsg: fd');
}

###############################################################################
