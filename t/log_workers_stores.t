#!/usr/bin/perl

# Of a cluster that does not tell its map, of one with more masters than may be
# used, and of a master that is one no more, four workers write one line each time.
# Otherwise a failover is a page of lines on a large machine.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $cluster = SSLSessionCache::RedisCluster->new($t,
	masters => 3, port => 8381, replicas => 0);
my $redis = SSLSessionCache::RedisSentinel->new($t);

my $main = <<'EOM';
worker_processes 4;

remote_ssl_session_store cluster {
    type    redis;
    cluster on;
    server  127.0.0.1:8381;
    server  127.0.0.1:8382;
}
EOM

single($t,
	store => $cluster,
	cache => 'store=cluster',
	listen => 'reuseport',
	main => $main . <<'EOM',
remote_ssl_session_store guarded {
    type     redis;
    sentinel mymaster;
    server   127.0.0.1:8361;
    server   127.0.0.1:8362;
    server   127.0.0.1:8363;
}
EOM
	http => <<'EOM',
server {
    listen 127.0.0.1:8444 ssl;
    remote_ssl_session_cache on store=guarded;
}
EOM
);
my $small = SSLSessionCache::Nginx->new($t, 'small', config(
	store => $cluster,
	cache => 'store=cluster',
	events => 'worker_connections 11;',
	main => $main,
	port => 8445,
));
$t->plan(8);

###############################################################################

is(told($t, 'error.log', 'redis \S+ of store "guarded" is up'), 1, 'a master');

ok($redis->failover(), 'another master');
is(told($t, 'error.log', 'redis \S+ of store "guarded" is not in use any more'), 1,
	'the one before is told not to be in use once');

ok($redis->failover(), 'the one before again');
is(told($t, 'error.log', 'redis \S+ of store "guarded" is not in use any more', 2), 2,
	'the other is told not to be in use');

is(told($t, 'small.log', 'cluster "cluster" has 3 masters, of which 2 are used'), 1,
	'more masters than may be used');

# A worker notices when it has stored something there.

tls_get(8443) foreach 1 .. 60;

my @nodes = $cluster->nodes();
$cluster->kill9($_) foreach @nodes;
is(told($t, 'error.log', 'cluster "cluster" does not tell its map'), 1, 'no map');

$cluster->revive(@nodes);
is(told($t, 'error.log', 'cluster "cluster" tells its map again'), 1, 'a map again');

###############################################################################

# How many lines there are once all workers have had time to write theirs.

sub told {
	my ($t, $name, $what, $least) = @_;

	my $count = sub { scalar(() = $t->read_file($name) =~ /: $what/g) };
	wait_until(sub { $count->() >= ($least // 1) }, 10);
	select undef, undef, undef, 0.7;

	return $count->();
}

###############################################################################
