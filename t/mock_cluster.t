#!/usr/bin/perl

# The Redis Cluster that tests make up talks as a real one does: it maps slots,
# and sends clients on.  Otherwise what passes here fails at the first cluster of
# a user.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Cluster;
use SSLSessionCache::Redis;
use SSLSessionCache::RespClient;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::Redis->new($t, args => [
	'--cluster-enabled', 'yes', '--cluster-config-file',
	$t->testdir() . '/nodes.conf' ]);
my $cluster = SSLSessionCache::Cluster->new($t);

$t->plan(32);

###############################################################################

my @ports = map { port($_) } 8371 .. 8373;
my @nodes = map { connected($_) } @ports;

# as a real one

foreach my $key ('', 'key', 'a{b}c', 'a{}{b}', '{', "sslsessioncache:\xff") {
	is(slot_of($key), $redis->command('CLUSTER', 'KEYSLOT', $key),
		"slot of '" . unpack('H*', $key) . "'");
}

eval { $redis->command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383) };
my ($real) = @{$redis->command('CLUSTER', 'SLOTS')};
my $made = ask($nodes[0], 'CLUSTER', 'SLOTS');

like($made, qr/^\*3\r\n\*3\r\n:0\r\n:5461\r\n\*4\r\n\$9\r\n127\.0\.0\.1\r\n:$ports[0]\r\n\$40\r\n/,
	'map of slots');
is(scalar @{$real->[2]}, 4, 'a node as in a real map');
like(ask($nodes[1], 'CLUSTER', 'SHARDS'),
	qr/^\*3\r\n\*4\r\n\$5\r\nslots\r\n\*2\r\n:0\r\n:5461\r\n\$5\r\nnodes\r\n/,
	'map of shards');

# keys where they belong

my $key = 'sslsessioncache:1';
my $slot = slot_of($key);
my $here = $cluster->node_of($key);
my ($there, $third) = grep { $_ != $here } 0 .. 2;
my $moved = "-MOVED $slot 127.0.0.1:$ports[$here]\r\n";

is(ask($nodes[$here], 'SETEX', $key, 10, 'value'), "+OK\r\n", 'put');
is(ask($nodes[$here], 'GET', $key), "\$5\r\nvalue\r\n", 'get');
is(ask($nodes[$there], 'GET', $key), $moved, 'another node');
is(ask($nodes[$there], 'SETEX', $key, 10, 'x'), $moved, 'put, another node');
is($cluster->calls($there, 'GET'), 1, 'counted');
is(ask($nodes[$here], 'SET', $key, 'other', 'EX', 10, 'NX'), "\$-1\r\n",
	'add, where there is one');
is(ask($nodes[$here], 'GET', $key), "\$5\r\nvalue\r\n", 'which stays');

# a slot that moves

$cluster->migrate($slot, $there);
is(ask($nodes[$here], 'GET', $key), "\$5\r\nvalue\r\n", 'not moved yet');
$cluster->carry($key);
is(ask($nodes[$here], 'GET', $key), "-ASK $slot 127.0.0.1:$ports[$there]\r\n",
	'moved, ASK');
is(ask($nodes[$there], 'GET', $key), $moved, 'without ASKING');
is(ask($nodes[$there], 'ASKING'), "+OK\r\n", 'ASKING');
is(ask($nodes[$there], 'GET', $key), "\$5\r\nvalue\r\n", 'after ASKING');
is(ask($nodes[$there], 'GET', $key), $moved, 'which is for one command');

$cluster->move($slot, $slot, $third);
is(ask($nodes[$here], 'GET', $key), "-MOVED $slot 127.0.0.1:$ports[$third]\r\n",
	'moved for good');
like(ask($nodes[0], 'CLUSTER', 'SLOTS'), qr/^\*5\r\n/, 'in the map');

# what goes wrong

$cluster->fault('*', 'GET', 'instead', "-TRYAGAIN Multiple keys\r\n");
is(ask($nodes[$third], 'GET', $key), "-TRYAGAIN Multiple keys\r\n", 'TRYAGAIN');

$cluster->announce($third, '');
is(ask($nodes[$here], 'GET', $key), "-MOVED $slot :$ports[$third]\r\n",
	'host unknown');

$cluster->down(1);
is(ask($nodes[$third], 'GET', $key), "-CLUSTERDOWN The cluster is down\r\n",
	'CLUSTERDOWN');
$cluster->down(0);

$cluster->fault($here, 'CLUSTER SLOTS', 'silence');
$nodes[$here]->print(command('CLUSTER', 'SLOTS'), command('PING'));
is(reply($nodes[$here]), "+PONG\r\n", 'no answer to one command');

$cluster->fault($here, 'PING', 'close');
is(ask($nodes[$here], 'PING'), '', 'closed');

$cluster->stop_node($there);
is(reply($nodes[$there]), '', 'a node goes');
ok(!connected($ports[$there]), 'and accepts nobody');
$cluster->start_node($there);
is(ask(connected($ports[$there]), 'PING'), "+PONG\r\n", 'and comes back');

###############################################################################

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new("127.0.0.1:$port");
}

###############################################################################
