#!/usr/bin/perl

# The set-ups of a store with TLS or a socket in docs/stores.md, with the smallest
# rights there and Redis' user "default" off, are enough.  Otherwise operators who
# follow it look for what is missing, or give all rights.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Daemon;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('memcached');

my $dir = $t->testdir();
my $stores = do { local (@ARGV, $/) = "$FindBin::Bin/../docs/stores.md"; <> };
my $acl = join '', $stores =~ /^(user (?:default|admin) .*\n)/mg,
	$stores =~ /^(user nginx .*\n)/m;
my ($section) = $stores =~ /^## TLS to the store\n(.*?)^## /ms;
my ($redis, $redis_way, $memcached, $memcached_way, $socket, $socket_way)
	= map { s/^\$ //r } $section =~ /^```\w+\n(.*?)^```/msg;
my ($login) = $section =~ /one line `(\S+)` in a file/;

# what is different here: addresses, and where files are

my $port = port(8381);

$redis =~ s/6379/$port/;
s/=(\w+\.\w+)/=$dir\/$1/g, s/-Y /-Y $dir\//, s/\/run\//$dir\//
	foreach $memcached, $socket, $socket_way;
s/addr=(\w\S+\.net)/addr=127.0.0.1 tls_name=$1/ foreach $redis_way, $memcached_way;
$redis_way =~ s/ addr=/ port=$port addr=/;
$memcached_way =~ s/ addr=/ port=%%PORT_8382%% addr=/;

my $user = $> == 0 ? 'user root;' : '';

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;
$user

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;

        $redis_way

        location / {
            return 200 "";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;

        $memcached_way

        location / {
            return 200 "";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;

        $socket_way

        location / {
            return 200 "";
        }
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'DNS:redis.example.net')
	->issue('memcached', names => 'DNS:memcached.example.net')
	->issue('nginx');

$t->write_file('redis.conf', "bind 127.0.0.1\ndir $dir\nsave ''\n$acl$redis");
$t->write_file('memcached.auth', "$login\n");
$t->write_file($_, "secret\n") foreach 'redis.password', 'memcached.password';

my @root = $> == 0 ? ('-u', 'root') : ();

SSLSessionCache::Daemon->new($t)->launch(@$_) foreach
	[ 'redis-server', "$dir/redis.conf", '--logfile', "$dir/redis.log" ],
	[ split(' ', $memcached), '-l', '127.0.0.1', '-p', port(8382), @root ],
	[ split(' ', $socket), @root ];

$t->plan(8)->run();

###############################################################################

is(() = $acl =~ /^user /mg, 3, 'users');

foreach my $case ([ 8443, 'redis' ], [ 8444, 'memcached' ],
	[ 8445, 'memcached, unix socket' ])
{
	my ($port, $name) = @$case;

	ok(wait_until(sub { resumed('TLSv1.2', $port) }), "$name, TLSv1.2");
	ok(wait_until(sub { resumed('TLSv1.3', $port) }), "$name, TLSv1.3");
}

unlike($t->read_file('error.log'), qr/refuses commands/, 'no right is missing');

###############################################################################

sub resumed {
	my ($version, $port) = @_;

	my $r = tls_get($port, version => $version);

	return tls_get($port, version => $version,
		session => $r->{session})->{reused};
}

###############################################################################
