#!/usr/bin/perl

# What a Redis says of itself that does harm sooner or later is told by "check": it
# is a replica, its memory has no limit or takes no sessions when it is full, it
# writes sessions in clear to its disk, or has no room for clients.  Otherwise that
# is found out when sessions are lost.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Tool;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(22);
my $redis = SSLSessionCache::Redis->new($t);
my $dir = $t->testdir();
my $port = "port=$redis->{port}";

seal_key($t, 'cache.key');

###############################################################################

my $r = tool('check', $port);

is($r->{status}, 0, 'no limit');
like($r->{out}, qr/^  warning  .* no maxmemory: .*\n *-> set maxmemory, /m,
	'no limit is warned of');
like($r->{out}, qr/^  warning  sessions are stored in clear/m, 'in clear');

$redis->command('CONFIG', 'SET', 'maxmemory', '100mb');
$r = tool('check', $port);

is($r->{status}, 0, 'noeviction');
like($r->{out}, qr/^\ \ warning\ \ .*\ maxmemory\ 100\.0\ MB,\ maxmemory-policy\ noeviction:
	\ full,\ it\ takes\ no\ sessions\n\ *->\ set\ maxmemory-policy\ volatile-ttl/mx,
	'noeviction is warned of');

$redis->command('SETRANGE', 'other', 2_000_000, 'x');
$redis->command('CONFIG', 'SET', 'maxmemory', '1mb');
$r = tool('check', $port);

is($r->{status}, 1, 'full');
like($r->{out}, qr/^  failure  SETEX: OOM .*\n *-> the memory is full, /m, 'full, told');

$redis->command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
$redis->command('CONFIG', 'SET', 'maxmemory', '20mb');
$redis->command('SETRANGE', "other$_", 4_000_000, 'x') foreach 1 .. 8;
$r = tool('check', $port);

is($r->{status}, 0, 'full, and forgets');
like($r->{out}, qr/^  note     \d+ keys were evicted .*\n *-> if that goes on, /m,
	'evicted keys are told');
$redis->clear();

$redis->command('CONFIG', 'SET', 'save', '3600 1');
$r = tool('check', $port);

is($r->{status}, 0, 'in clear on the disk');
like($r->{out}, qr/^\ \ warning\ \ save\ "3600\ 1",\ appendonly\ no:\ sessions\ in\ clear
	\ are\ written\ to\ disk\n\ *->\ set\ key=/mx, 'that is warned of');

$r = tool('check', $port, "key=$dir/cache.key");

like($r->{out}, qr/^  note     save "3600 1", appendonly no\n *-> of little use/m,
	'sealed on the disk');

$redis->command('CONFIG', 'SET', 'save', '');
$redis->command('CONFIG', 'SET', 'maxclients', '3');
my @clients = map { IO::Socket::INET->new("127.0.0.1:$redis->{port}") } 1;
$r = tool('check', $port);

like($r->{out}, qr/^  warning  3 of 3 clients .*\n *-> raise maxclients/m,
	'clients are warned of');

push @clients, IO::Socket::INET->new("127.0.0.1:$redis->{port}");
wait_until(sub { $redis->command('INFO', 'clients') =~ /connected_clients:3/ });
$r = tool('check', $port);

is($r->{status}, 1, 'no room');
like($r->{out}, qr/^  failure  .*max number of clients.*\n *-> raise maxclients/m,
	'no room, told');
@clients = ();
wait_until(sub { $redis->command('INFO', 'clients') =~ /connected_clients:1/ });
$redis->command('CONFIG', 'SET', 'maxclients', '100');

my $replica = SSLSessionCache::Redis->new($t, port => 8380);
$replica->command('REPLICAOF', '127.0.0.1', $redis->{port});
wait_until(sub { $replica->command('INFO', 'replication')
	=~ /master_link_status:up/ });
$r = tool('check', "port=$replica->{port}");

is($r->{status}, 1, 'a replica');
like($r->{out}, qr/^  failure  it is a replica: .*\n *-> name the master/m,
	'a replica, told');
like($r->{out}, qr/^  failure  SETEX: READONLY .*\n *-> it is a replica/m,
	'and what it refuses');

# a server without INFO

my $silent = SSLSessionCache::Redis->new($t, port => 8381,
	args => [ '--rename-command', 'INFO', '' ]);
$r = tool('check', "port=$silent->{port}");

is($r->{status}, 0, 'no INFO');
like($r->{out}, qr/^  note     version, .* cannot be told: INFO: .*unknown command/m,
	'no INFO, told');

# nobody else can read a key

chmod 0644, "$dir/cache.key";
$r = tool('check', $port, "key=$dir/cache.key");
is($r->{status}, 0, 'a key for all');
like($r->{out}, qr/^  warning  .*cache\.key" has key [0-9a-f]{8}, and others .*\n *-> chmod 600/m,
	'a key for all, told');

###############################################################################
