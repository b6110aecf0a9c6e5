#!/usr/bin/perl

# "count", "list" and "flush" see what is under the prefix, whatever characters that
# has, each key once, and nothing else.  Otherwise an operator believes a wrong
# number, or deletes what is not nginx's.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Tool;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(33);
my $redis = SSLSessionCache::Redis->new($t);
my $port = "port=$redis->{port}";
my $name = "127.0.0.1:$redis->{port}";

# 3,000 sessions, 3 claims, 2 ticket keys, and what is of others

my $count = 3000;

$redis->commands(map { [ 'SETEX', sprintf('sslsessioncache:%032x', $_), 100,
	'x' x 300 ] } 1 .. $count);
$redis->commands(map { [ 'SET', 'sslsessioncache:' . "$_" x 31 . '+', 1 ] } 1 .. 3);
$redis->commands(map { [ 'SET', 'sslsessioncache:' . "$_" x 32, 'x' x 69 ] } 4 .. 5);
$redis->put('sslsessioncache:other:00', 'x');
$redis->put('sslsession', 'x');
$redis->put("a*[b]?:$_" . '0' x 30, 'x') foreach 10 .. 13;
$redis->put("axx[b]y:$_" . '0' x 30, 'x') foreach 10 .. 13;
$redis->put("axxby:$_" . '0' x 30, 'x') foreach 10 .. 13;
$redis->command('LPUSH', 'sslsessioncache:list', 'x');

###############################################################################

my $r = tool('count', $port);

is($r->{status}, 0, 'counted');
is($r->{out}, "$name: $count sessions, 3 claims, 2 ticket keys, 2 others\n",
	'all kinds');
is($r->{err}, '', 'nothing else');

$r = tool('count', $port, 'prefix=a*[b]?:');
is($r->{out}, "$name: 4 sessions, 0 claims, 0 ticket keys, 0 others\n",
	'no character of a prefix is a pattern');

is($redis->command('INFO', 'commandstats') =~ /cmdstat_keys/ ? 1 : 0, 0,
	'KEYS is not asked');

# a list

$r = tool('list', $port);

my @lines = grep { !/^#/ } split /\n/, $r->{out};

is($r->{status}, 0, 'listed');
is(@lines, $count + 7, 'all');
is(scalar(keys %{{ map { $_ => 1 } @lines }}), @lines, 'each once');
is((grep { /^sslsessioncache:[0-9a-f]{32} session (?:100|9\d) 300$/ } @lines), $count,
	'sessions');
is((grep { /^sslsessioncache:[1-3]{31}\+ claim - 1$/ } @lines), 3, 'claims');
is((grep { /^sslsessioncache:[45]{32} ticket-key - 69$/ } @lines), 2, 'ticket keys');
is((grep { /^sslsessioncache:other:00 other - 1$/ } @lines), 1, 'others');
is((grep { /^sslsessioncache:list other - \?$/ } @lines), 1, 'of another kind');

$r = tool('list', $port, '--limit', 5);
is((grep { !/^#/ } split /\n/, $r->{out}), 5, 'as many as wanted');

# missing rights

$redis->command('ACL', 'SETUSER', 'few', 'on', '>few', '~*', '-@all', '+ping', '+scan');
my @few = ($port, 'user=few', 'auth=few');

$r = tool('list', @few, '--limit', 1);
like($r->{out}, qr/ session \? \?$/m, 'without +ttl and +strlen');

$redis->command('ACL', 'SETUSER', 'few', '-scan');
$r = tool('count', @few);
is($r->{status}, 1, 'no +scan');
like($r->{err}, qr/^ssl-session-cache: \Q$name\E: NOPERM .*scan/m, 'told');

# nothing is deleted before a yes

$r = tool('flush', $port);
is($r->{status}, 2, 'no yes');
like($r->{err}, qr/^All keys that begin with "sslsessioncache:" .*full handshake\.$/m,
	'what it would do');
like($r->{err}, qr/^ssl-session-cache: .*: say --yes /m, 'what is needed');

$r = tool('flush', $port, 'prefix=', '--yes');
is($r->{status}, 2, 'no prefix');
like($r->{err}, qr/"prefix"/, 'told');
is($redis->count(), $count + 20, 'all is there');

$r = tool('flush', $port, 'prefix=a*[b]?:', '--yes');
is($r->{status}, 0, 'flushed');
like($r->{out}, qr/^total: 4 deleted$/m, 'the four');
is($redis->count(), $count + 16, 'and no other');

$r = tool('flush', $port, '--yes');
is($r->{status}, 0, 'flushed');
like($r->{out}, qr/^total: 3007 deleted\n.*ssl_session_cache shared:.*emergency/m,
	'all, and what is not ended by that');
is($redis->count(), 9, 'and no other');

# a replica takes no deletions, and is passed over where a name has a master as well

$redis->put('sslsessioncache:' . '7' x 32, 'x');
my $replica = SSLSessionCache::Redis->new($t, port => 8380);
$replica->command('REPLICAOF', '127.0.0.1', $redis->{port});
wait_until(sub { $replica->count() == $redis->count() });

$r = tool('flush', "port=$replica->{port}", '--yes');
is($r->{status}, 1, 'a replica');
like($r->{err}, qr/^ssl-session-cache: .*READONLY/m, 'told');

# one that cannot be reached

$redis->stop();
$r = tool('count', $port);
is($r->{status}, 1, 'no server');
like($r->{err}, qr/^ssl-session-cache: \Q$name\E: connection refused$/m, 'told');

###############################################################################
