#!/usr/bin/perl

# A Redis that is as it should be passes "check" without a warning; what it says
# of itself is shown, nothing stays behind, and no password is printed.  Otherwise
# operators do not trust the command, or look for faults that are none.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(22);
my $dir = $t->testdir();
my $redis = SSLSessionCache::Redis->new($t, password => 'sesame', args => [
	'--maxmemory', '100mb', '--maxmemory-policy', 'volatile-ttl' ]);

seal_key($t, 'cache.key');
private_file($t, 'store.password', "sesame\n");

my @words = ("port=$redis->{port}", "auth_file=$dir/store.password",
	"key=$dir/cache.key");

###############################################################################

my $r = tool('check', @words);

is($r->{status}, 0, 'passed');
is($r->{err}, '', 'no complaint');
unlike($r->{out}, qr/warning |failure /, 'no warning') or diag($r->{out});
unlike($r->{out}, qr/\e/, 'no colours in a file');
like($r->{out}, qr/^  ok       127\.0\.0\.1:$redis->{port}: connected in /m,
	'connected');
like($r->{out}, qr/^  ok       logged in with a password$/m, 'logged in');
like($r->{out}, qr/^  ok       Redis \d+\.\d+\.\d+$/m, 'version');
like($r->{out}, qr/^  ok       it is a master$/m, 'role');
like($r->{out}, qr/^  ok       GET, SET \.\.\. EX NX, SETEX, DEL, PING work for keys /m,
	'rights');
like($r->{out}, qr/^  ok       200 lookups took .* \(p50\), .* \(p99\), .* at most; of 1\.0 s$/m,
	'latency');
like($r->{out}, qr/^  ok       .* used, maxmemory 100\.0 MB, maxmemory-policy volatile-ttl$/m,
	'memory');
like($r->{out}, qr/^  ok       \d+ of \d+ clients/m, 'clients');
like($r->{out}, qr/^  ok       save "", appendonly no$/m, 'persistence');
like($r->{out}, qr/^  ok       its clock is 0\.\d s /m, 'clock');
like($r->{out}, qr/^  ok       "\Q$dir\E\/cache\.key" has key [0-9a-f]{8}$/m,
	'sealing key');
is($redis->count(), 0, 'nothing left behind');
unlike($r->{out}, qr/sesame/, 'no password');

# as typed in nginx.conf

$r = tool('check', 'on', "port=$redis->{port}", 'auth=sesame');

is($r->{status}, 0, 'password in a word');
unlike($r->{out} . $r->{err}, qr/sesame/, 'not printed');

$r = tool('check', "port=$redis->{port}", 'auth=ses"ame', 'timout=1s');

is($r->{status}, 2, 'wrong word');
like($r->{err}, qr/^ssl-session-cache: .*timeout/, 'what is meant');
unlike($r->{out} . $r->{err}, qr/ses"ame/, 'and still no password');

###############################################################################
