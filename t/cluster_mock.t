#!/usr/bin/perl

# The Redis Cluster that tests make up answers as a real one does, word for word,
# also while a slot moves and where a node's host is not told.  Otherwise what
# passes with it fails at the first cluster of a user.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Cluster;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::RespClient;

###############################################################################

my $t = Test::Nginx->new();

my $made = SSLSessionCache::Cluster->new($t, ports => [ 8381, 8382, 8383 ]);
my $real = SSLSessionCache::RedisCluster->new($t, replicas => 0,
	sizes => [ 5462, 5461, 5461 ]);
my @real = $real->nodes();

$t->plan(16);

###############################################################################

my @made_ports = map { port($_) } 8381 .. 8383;
my @real_ports = map { $_->{port} } @real;

my @made_nodes = map { connected($_) } @made_ports;
my @real_nodes = map { connected($_) } @real_ports;

my $key = 'sslsessioncache:1';
my $slot = slot_of($key);
my $here = $made->node_of($key);
my ($there, $third) = grep { $_ != $here } 0 .. 2;

is($real->master_of($key), $real[$here], 'node of a key');

alike($there, [ 'CLUSTER', 'SLOTS' ]);
is(shards(\@made_nodes, \@made_ports), shards(\@real_nodes, \@real_ports),
	'CLUSTER SHARDS');
alike($here, [ 'PING' ]);
alike($here, [ 'READONLY' ]);
alike($here, [ 'SETEX', $key, 10, 'value' ], [ 'GET', $key ]);
alike($there, [ 'GET', $key ], [ 'SETEX', $key, 10, 'x' ], [ 'DEL', $key ]);
alike($here, [ 'NOSUCH' ]);
alike($there, [ 'ASKING' ], [ 'GET', $key ]);

# a slot that moves

$made->migrate($slot, $there);
$real[$there]->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING',
	$real[$here]{id});
$real[$here]->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING',
	$real[$there]{id});

alike($here, [ 'GET', $key ]);

$made->carry($key);
$real[$here]->command('MIGRATE', '127.0.0.1', $real[$there]{port}, $key, 0, 5000);

alike($here, [ 'GET', $key ], [ 'SETEX', $key, 10, 'value' ], [ 'DEL', $key ]);
alike($there, [ 'GET', $key ]);
alike($there, [ 'ASKING' ], [ 'GET', $key ], [ 'GET', $key ]);

$made->move($slot, $slot, $there);
$_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $real[$there]{id})
	foreach @real[$there, $here, $third];

alike($here, [ 'GET', $key ]);
alike($there, [ 'GET', $key ], [ 'DEL', $key ], [ 'DEL', $key ], [ 'GET', $key ]);

# a node whose host is not told

$made->announce($there, '');
$real->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type',
	'unknown-endpoint');

alike($here, [ 'GET', $key ]);

###############################################################################

# The answers to commands, said to the same node of both.

sub alike {
	my ($node, @commands) = @_;

	is(answers($made_nodes[$node], \@made_ports, @commands),
		answers($real_nodes[$node], \@real_ports, @commands),
		join ', ', map { $_->[0] . ($_->[0] eq 'CLUSTER' ? " $_->[1]" : '') }
			@commands);
}

# With names for ports and ids.

sub answers {
	my ($socket, $ports, @commands) = @_;

	my $text = join '', map { ask($socket, @$_) } @commands;
	my %names = map { $ports->[$_] => "port$_" } 0 .. $#$ports;

	return $text =~ s/\b(\d{4})\b/$names{$1} || $1/ger
		=~ s/\b[0-9a-f]{40}\b/id/gr;
}

# Their order is that of the ids, and where replication is, is of no use.

sub shards {
	my ($sockets, $ports) = @_;

	my $answer = answers($sockets->[0], $ports, [ 'CLUSTER', 'SHARDS' ]);
	my @shards = split /(?=\*4\r\n\$5\r\nslots)/, $answer
		=~ s/(replication-offset\r\n:)\d+/$1/gr;

	return join "\n", sort @shards;
}

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new("127.0.0.1:$port")
		// die "connect() failed: $!\n";
}

###############################################################################
