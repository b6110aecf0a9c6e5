#!/usr/bin/perl

# With "master_process off", a reload that takes the directive out leaves the
# old configuration's clients and its connection to the store where they were.
# What happens to the one must not cut off the others.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
master_process off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "ok";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(3)->run();

###############################################################################

ok(wait_until(sub { $redis->clients() }), 'connected');

my $client = tls_hello(8443)->handshake();
like(request(), qr/ 200 /, 'served');

$t->write_file_expand('nginx.conf',
	$config =~ s/remote_ssl_session_cache.*;//r)->reload();
wait_until(sub { 2 == (() = $t->read_file('error.log') =~ /event method/g) });

$redis->stop();
request();
like(request(), qr/ 200 /, 'still served');

###############################################################################

sub request {
	$client->write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

	return eval { $client->read() } // $@;
}

###############################################################################
