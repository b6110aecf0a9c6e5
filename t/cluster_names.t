#!/usr/bin/perl

# Nodes of a Redis Cluster that tell no host, a name, or an address that is of use
# on their own machine only, are found all the same.  Otherwise a cluster in
# containers, or behind one name of a cloud service, takes no sessions.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::NameServer;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# an address that nodes do not tell, where the machine has one

my ($outside) = map { /^(\d+\.\d+\.\d+\.\d+)$/ ? $1 : () } split ' ', `hostname -I`;

my $cluster = SSLSessionCache::RedisCluster->new($t, replicas => 0, args => [
	'--bind', '127.0.0.1', $outside // (), '--protected-mode', 'no' ]);
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1' ]);

my $count = 30;

$t->plan(9);

###############################################################################

# no host

$cluster->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type',
	'unknown-endpoint');
pair($t, options('server 127.0.0.1:8371;'));
checks('no host', 8443, 8444);

# a name

my $number = 0;
$_->command('CONFIG', 'SET', 'cluster-announce-hostname',
	'redis-' . ++$number . '.example') foreach $cluster->nodes();
ok(wait_until(sub { !grep { hosts($_) != 3 } $cluster->nodes() }), 'names are known');
$cluster->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'hostname');

another($t, 8445, 'server 127.0.0.1:8372; resolver 127.0.0.1:%%PORT_8953_UDP%%;');
another($t, 8446, 'server 127.0.0.1:8373; resolver 127.0.0.1:%%PORT_8953_UDP%%;');
checks('a name', 8445, 8446);
cmp_ok($names->questions(), '>', 0, 'names are looked up');

# a loopback address, told by a node elsewhere

$cluster->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'ip');

SKIP: {
	skip 'no address but the loopback', 3 unless defined $outside;

	another($t, 8447, "server $outside:%%PORT_8371%%;");
	another($t, 8448, "server $outside:%%PORT_8372%%;");
	checks('loopback', 8447, 8448);

	my $clients = join '', map { $_->command('CLIENT', 'LIST') }
		$cluster->nodes();
	is(() = $clients =~ /laddr=\Q$outside\E:/g, 6, 'loopback, all asked outside');
}

###############################################################################

sub checks {
	my ($name, $from, $to) = @_;

	$cluster->clear();
	my @made = map { tls_get($from, version => 'TLSv1.3') } 1 .. $count;
	$cluster->wait_id(session_id($_->{session})) foreach @made;

	is(grep({ $_->count() } $cluster->masters()), 3, "$name, at all nodes");
	is(grep({ tls_get($to, version => 'TLSv1.3',
		session => $_->{session})->{reused} } @made), $count,
		"$name, resumed");
}

# How many nodes have told this one a name.

sub hosts {
	my ($node) = @_;

	return () = $node->command('CLUSTER', 'NODES') =~ /,redis-\d\.example /g;
}

sub options {
	my ($server) = @_;

	return (
		store => $cluster,
		cache => 'store=fleet',
		main => "remote_ssl_session_store fleet {\n"
			. "type redis; cluster on; $server\n}",
	);
}

sub another {
	my ($t, $port, $server) = @_;

	return SSLSessionCache::Nginx->new($t, "nginx$port",
		config(options($server), port => $port));
}

###############################################################################
