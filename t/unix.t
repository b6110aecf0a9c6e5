#!/usr/bin/perl

# Sessions are shared through a store that listens on a unix socket, Redis or
# Memcached; without the socket there are full handshakes, and sessions again
# once it is back.  Otherwise a store beside nginx has to open a port.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('memcached');

my $config = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=unix:%%TESTDIR%%/redis.sock;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=memcached
                                 addr=unix:%%TESTDIR%%/memcached.sock;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=unix:%%TESTDIR%%/missing.sock;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOC

my $dir = $t->testdir();

# workers of root's nginx are another user's

chmod 0711, $dir;

my $redis = SSLSessionCache::Redis->new($t,
	args => [ '--unixsocket', "$dir/redis.sock", '--unixsocketperm', 777 ]);
my $memcached = SSLSessionCache::Memcached->new($t,
	path => "$dir/memcached.sock", args => [ '-a', '0777' ]);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(12)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = full($version, 8443);
	ok($redis->wait_id(session_id($r->{session})), "$version, stored in redis");
	is(offer(8463, $r), 1, "$version, resumed from redis");

	$r = full($version, 8444);
	$memcached->wait_id(session_id($r->{session}));
	is(offer(8464, $r), 1, "$version, resumed from memcached");
}

is(grep({ m! addr=\Q$dir\E/redis\.sock:0 ! }
	split /\n/, $redis->command('CLIENT', 'LIST')), 2,
	'by the unix socket');

# a socket that is not there

is(offer(8465, full('TLSv1.2', 8445)), 0, 'full handshake without a socket');

my $down = 'redis unix:\S+/missing.sock is down: connect\(\) failed: No such file';
is(() = $t->read_file('error.log') =~ /$down/g, 1, 'told once');

# a socket that is gone

my $r = full('TLSv1.2', 8443);
$redis->stop();
is(offer(8463, $r), 0, 'full handshake when it is gone');

$redis->start();
ok(wait_until(sub { $redis->clients() == 2 }), 'connected again');

$r = full('TLSv1.2', 8443);
$redis->wait_id(session_id($r->{session}));
is(offer(8463, $r), 1, 'resumed again');

###############################################################################

sub full {
	my ($version, $port) = @_;

	return tls_get($port, version => $version);
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused} // 'failed';
}

###############################################################################
