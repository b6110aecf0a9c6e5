#!/usr/bin/perl

# "check" tells of a Memcached what does harm: its items are too small, it takes
# no sessions when it is full, or it has no room for clients; and it logs in where
# there is a password.  Otherwise long sessions are lost without a word.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Nginx;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('memcached')->plan(17);
my $dir = $t->testdir();
my $good = SSLSessionCache::Memcached->new($t, port => 8380,
	password => 'nginx:sesame', args => [ '-o', 'lru_crawler' ]);
my $small = SSLSessionCache::Memcached->new($t, port => 8381,
	args => [ '-I', '8k', '-o', 'slab_chunk_max=512', '-M', '-c', '200' ]);

private_file($t, 'login', "nginx:sesame\n");
private_file($t, 'mistaken', "nginx:mistaken\n");

my @good = ('type=memcached', "port=$good->{port}");

###############################################################################

my $r = tool('check', @good, "auth_file=$dir/login");

is($r->{status}, 0, 'as it should be');
like($r->{out}, qr/^  ok       logged in with a password$/m, 'logged in');
like($r->{out}, qr/^  ok       Memcached \d+\.\d+/m, 'version');
like($r->{out}, qr/^  ok       get, add, set, delete work for keys under "sslsessioncache:"$/m,
	'commands');
like($r->{out}, qr/^  ok       200 lookups took /m, 'latency');
like($r->{out}, qr/^  ok       .* used, limit_maxbytes 64\.0 MB$/m, 'memory');
like($r->{out}, qr/^  ok       item_size_max 1\.0 MB$/m, 'size of items');
like($r->{out}, qr/^  ok       \d+ of 1024 connections/m, 'connections');
like($r->{out}, qr/^  ok       its clock is \d\.\d s /m, 'clock');
is(tool('count', @good, "auth_file=$dir/login")->{out},
	"127.0.0.1:$good->{port}: 0 sessions, 0 claims, 0 ticket keys, 0 others\n",
	'nothing left behind');
unlike($r->{out}, qr/sesame/, 'no password');

$r = tool('check', @good);

is($r->{status}, 1, 'no password');
like($r->{out}, qr/^  failure  .*unauthenticated.*\n *-> the server wants a password/m,
	'no password, told');

$r = tool('check', @good, "auth_file=$dir/mistaken");

like($r->{out}, qr/^  failure  .*authentication failure.*\n *-> user or password are wrong/m,
	'wrong password');

my @clients = map { IO::Socket::INET->new("127.0.0.1:$small->{port}") } 1 .. 165;
$r = tool('check', 'type=memcached', "port=$small->{port}");

like($r->{out}, qr/^  warning  item_size_max 8\.0 kB: .*\n *-> start it with -I 1m/m,
	'small items are warned of');
like($r->{out}, qr/^  warning  .*, evictions off: .*\n *-> start it without -M/m,
	'no evictions');
like($r->{out}, qr/^  warning  \d+ of 200 connections .*\n *-> start it with a higher -c/m,
	'connections are warned of');

###############################################################################
