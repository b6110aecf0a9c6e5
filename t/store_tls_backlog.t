#!/usr/bin/perl

# What cannot be sent at once over TLS to the store, as its link is stuck, is
# sent once it can be, with all that was added in the meantime.  Otherwise a
# moment of congestion breaks the connection and loses what waits.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Redis;
use SSLSessionCache::Link;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

# together more than the kernel keeps for a connection on the loopback, and
# less than waits at most

use constant SESSIONS => 270;
use constant SIZE => 14000;

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

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

        ssl_verify_client optional_no_ca;

        remote_ssl_session_cache port=%%PORT_8378%% tls=on tls_ca=ca.crt
                                 timeout=30s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $dir = $t->testdir();

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'IP:127.0.0.1')
	->issue('client', comment => 'x' x SIZE);

my $redis = SSLSessionCache::Redis->new($t, args => [
	'--tls-port', port(8381), '--tls-auth-clients', 'no',
	'--tls-cert-file', "$dir/redis.crt", '--tls-key-file', "$dir/redis.key",
	'--tls-ca-cert-file', "$dir/ca.crt",
]);
my $link = SSLSessionCache::Link->new($t, peer => 8381, buffer => 4096);

$t->plan(4)->run();

###############################################################################

full();
is($redis->wait_keys(1), 1, 'stored');

$link->signal('STOP');
my @made = map { full() } 2 .. SESSIONS;
$link->signal('CONT');

is(grep({ $_ } @made), SESSIONS - 1, 'handshakes are not held up');
is($redis->wait_keys(SESSIONS), SESSIONS, 'all stored');
unlike($t->read_file('error.log'), qr/sslsessioncache: .* is down/,
	'by one connection');

###############################################################################

sub full {
	return tls_get(8443, version => 'TLSv1.2', cert => "$dir/client")
		->{session};
}

###############################################################################
