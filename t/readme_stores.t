#!/usr/bin/perl

# The smallest rights and set-ups of a store in README.md, as they are written
# there, are enough.  Otherwise operators who follow it look for the missing
# right, or give all.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Daemon;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('memcached');

my $dir = $t->testdir();
my $readme = do { local (@ARGV, $/) = "$FindBin::Bin/../README.md"; <> };
my ($section) = $readme =~ /^## A store with no more rights.*?\n(.*?)^## /ms;
my ($acl, $redis, $redis_way, $memcached) = $section =~ /((?:^ {4}.*\n)+)/mg;
my ($login) = $section =~ /one line `(\S+)` in a file/;
my ($memcached_way) = $section =~ /`(type=memcached .*?)`/;
my ($socket, $socket_way) = $section =~ /`(memcached -s .*?)`.*?`(addr=.*?)`/s;

# what is different here: addresses, and where files are

my $port = port(8381);

$redis =~ s/6379/$port/;
s/=(\w+\.\w+)/=$dir\/$1/g, s/-Y /-Y $dir\//, s/\/run\//$dir\//
	foreach $memcached, $socket, $socket_way;
$redis_way =~ s/addr=(\S+)/addr=127.0.0.1 port=$port tls_name=$1/;
$memcached_way =~ s/\.{3}/memcached.password/;

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

        remote_ssl_session_cache $memcached_way port=%%PORT_8382%%;

        location / {
            return 200 "";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;

        remote_ssl_session_cache type=memcached $socket_way;

        location / {
            return 200 "";
        }
    }
}

EOF

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'DNS:redis.example.net')
	->issue('memcached', names => 'IP:127.0.0.1')
	->issue('nginx');

$t->write_file('redis.conf', "bind 127.0.0.1\ndir $dir\nsave ''\n$acl$redis");
$t->write_file('memcached.auth', "$login\n");
$t->write_file($_, "secret\n") foreach 'redis.password', 'memcached.password';

my @root = $> == 0 ? ('-u', 'root') : ();

SSLSessionCache::Daemon->new($t)->launch(@$_) foreach
	[ 'redis-server', "$dir/redis.conf", '--logfile', "$dir/redis.log" ],
	[ split(' ', $memcached), '-l', '127.0.0.1', '-p', port(8382), @root ],
	[ split(' ', $socket), @root ];

$t->plan(7)->run();

###############################################################################

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
