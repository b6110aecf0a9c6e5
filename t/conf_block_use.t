#!/usr/bin/perl

# A store that a block describes is used by every server that names it, on one
# connection, as the one that a directive of one line describes: sessions go
# there, resume on another machine, and after a reload.  Otherwise a fleet's
# sessions lie where nobody looks for them.

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
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
}

remote_ssl_session_store redis {
    include  redis.inc;
}

remote_ssl_session_store memcached {
    type      memcached;
    server    127.0.0.1;
    port      %%PORT_8380%%;
    interval  1s;
}

remote_ssl_session_store nobodys {
    server    127.0.0.1:1;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache store=redis;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }

        location /status {
            remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache store=redis prefix=other:;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache store=memcached;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, port => 8379, password => 'secret');
my $memcached = SSLSessionCache::Memcached->new($t, port => 8380);
certificate($t, 'localhost');

$t->write_file_expand('redis.inc',
	"server redis://:s%65cret\@127.0.0.1:%%PORT_8379%%/1;\ntimeout 2s;\n");

$t->write_file_expand('nginx.conf', $config)->plan(15)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

$redis->command('SELECT', 1);

resumed_elsewhere('redis', 8443, 8463, $redis, '');
resumed_elsewhere('redis, another prefix', 8444, 8464, $redis, 'other:');
resumed_elsewhere('memcached', 8445, 8465, $memcached, '');

is($redis->clients(), 2, 'one connection of each machine for all of its servers');

like($t->read_file('error.log'), qr/redis 127\.0\.0\.1:\d+ of store "redis" is up/, 'log');

my $status = tls_get(8443, uri => '/status')->{body} // '';
like($status, qr/"redis"/, 'counted by its name');
unlike($status, qr/nobodys/, 'not in use, not counted');
like($t->read_file('error.log'),
	qr/\[warn\].*store "nobodys" is used by no "remote_ssl_session_cache"/,
	'not in use, warned of');

# a reload

my $r = tls_get(8443, version => 'TLSv1.2');
ok(reload($t, 1), 'reload');
is(tls_get(8443, version => 'TLSv1.2', session => $r->{session})->{reused}, 1,
	'resumed after a reload');
unlike($t->read_file('error.log'), qr/secret|s%65cret|\[(?:emerg|alert|crit)\]/,
	'nothing in the log');

is(tls_get(8445)->{reused}, 0, 'a handshake after all');

###############################################################################

sub resumed_elsewhere {
	my ($name, $port, $other, $store, $prefix) = @_;

	my $r = tls_get($port, version => 'TLSv1.2');
	my $id = unpack 'H*', session_id($r->{session});

	ok(wait_until(sub { grep { /^\Q$prefix\E.*$id$/ } $store->keys() }),
		"$name, stored");
	is(tls_get($other, version => 'TLSv1.2', session => $r->{session})->{reused},
		1, "$name, resumed elsewhere");
}

###############################################################################
