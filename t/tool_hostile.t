#!/usr/bin/perl

# What others have put under the prefix, or a server that is none, does no harm to
# who counts and deletes sessions: no key is taken for a command, a record of any
# length is told of, and the tool ends in its time.  Without it "flush" is how
# somebody who may write to a store deletes what else lies there.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use IO::Socket::INET;
use MIME::Base64;

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Redis;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('memcached')->has_daemon('redis-server')->plan(10);

my $memcached = SSLSessionCache::Memcached->new($t, args => [ '-o', 'lru_crawler' ]);
my $redis = SSLSessionCache::Redis->new($t, port => 8380);

###############################################################################

# a binary key with a command in it

my @words = ('type=memcached', "port=$memcached->{port}");
my $binary = encode_base64("sslsessioncache:a\r\nflush_all", '');

$memcached->_ask("set other 0 0 1\r\nx");
$memcached->_ask("set sslsessioncache:00 0 0 1\r\nx");
$memcached->_ask("ms $binary 1 b\r\nx");
is($memcached->count(), 3, 'three keys');

my $r = tool('flush', @words, '--yes');
is($r->{status}, 1, 'not all was deleted');
like($r->{out}, qr/^total: 1 deleted$/m, 'but what could be');
like($r->{err}, qr/ 1 keys were not deleted/, 'which is told');
is($memcached->count(), 2, 'others are there');

# a long record

@words = ("port=$redis->{port}");
$redis->put('sslsessioncache:00ff', 'x' x 20000);
$r = tool('show', '00ff', @words);
is($r->{status}, 1, 'a long record is no session');
like($r->{out}, qr/longer than any record/, 'and called so');

# nobody to tell errors to

$r = tool('count', 'port=1');
is($r->{status}, 1, 'no server');
is(system("'$SSLSessionCache::Tool::program' count port=1 2>&-") >> 8, 1,
	'and no standard error');

# a server that answers byte by byte

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die;
my $pid = fork() // die;

if ($pid == 0) {
	$SIG{PIPE} = 'IGNORE';
	while (my $client = $listener->accept()) {
		$client->autoflush(1);
		for (1 .. 100) {
			print $client 'x' or last;
			select undef, undef, undef, 0.1;
		}
	}
	exit 0;
}

my $began = time();
tool('count', 'port=' . $listener->sockport(), 'timeout=500ms');
cmp_ok(time() - $began, '<', 8, 'byte by byte, given up');

kill 'KILL', $pid;
waitpid $pid, 0;

###############################################################################
