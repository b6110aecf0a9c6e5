#!/usr/bin/perl

# "count", "list", "flush", "show" and "revoke" work with several Memcached as well, and
# one that cannot list its keys is told of.  Otherwise there is no way to look into
# it, and none to end a session.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('memcached')->plan(16);
my $memcached = SSLSessionCache::Memcached->new($t,
	args => [ '-o', 'lru_crawler' ]);
my $old = SSLSessionCache::Memcached->new($t, port => 8380,
	args => [ '-o', 'no_lru_crawler' ]);
my @words = ('type=memcached', "port=$memcached->{port}");
my $name = "127.0.0.1:$memcached->{port}";

put($memcached, @$_) foreach
	(map { [ sprintf('sslsessioncache:%064x', $_), 100, 'x' x 300 ] } 1 .. 1000),
	[ 'sslsessioncache:' . '5' x 31 . '+', 100, 1 ],
	[ 'sslsessioncache:' . '5' x 32, 100, 'x' x 69 ],
	[ 'sslsessioncache:' . '6' x 32, 0, 'x' x 200 ],
	[ 'other', 0, 'x' ];

###############################################################################

my $r = tool('count', @words);

is($r->{status}, 0, 'counted');
is($r->{out}, "$name: 1001 sessions, 1 claims, 1 ticket keys, 0 others\n", 'all kinds');

$r = tool('list', @words);
like($r->{out}, qr/^sslsessioncache:0{63}1 session (?:100|99|98) \d+$/m, 'a session');
like($r->{out}, qr/^sslsessioncache:5{31}\+ claim (?:100|99|98) \d+$/m, 'a claim');
like($r->{out}, qr/^sslsessioncache:6{32} session - \d+$/m, 'for ever');

my $id = '0' x 63 . '1';
$r = tool('show', $id, @words);
is($r->{status}, 0, 'shown');
like($r->{out}, qr/^\Q$name\E: found\n  record: 300 bytes, deleted by the store in \d+ s$/m,
	'its length and time');
$r = tool('revoke', $id, @words);
is($r->{status}, 0, 'revoked');
like($r->{out}, qr/^\Q$name\E: deleted$/m, 'told');
is(tool('revoke', $id, @words)->{status}, 1, 'not there any more');

$r = tool('flush', @words, '--yes');
is($r->{status}, 0, 'flushed');
like($r->{out}, qr/^total: 1002 deleted$/m, 'all');
is($memcached->count(), 1, 'but what is of others');

$r = tool('count', 'type=memcached', "port=$old->{port}");
is($r->{status}, 1, 'no crawler');
like($r->{err}, qr/cannot list its keys .* LRU crawler, which -o no_lru_crawler and -X switch off$/m,
	'told');
like(tool('list', '--help')->{out}, qr/what the item takes of its memory/, 'help');

###############################################################################

sub put {
	my ($memcached, $key, $ttl, $value) = @_;

	$memcached->_ask("set $key 0 $ttl " . length($value) . "\r\n$value");
}

###############################################################################
