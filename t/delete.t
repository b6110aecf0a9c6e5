#!/usr/bin/perl

# What nginx or OpenSSL takes out of the session cache is deleted from the
# store.  Otherwise a session that nginx has given up for this machine would
# still be resumed on the others.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', store_config(<<'EOF'));

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        ssl_verify_client      on;
        ssl_client_certificate client.crt;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        ssl_session_timeout 1s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
certificate($t, $_) foreach 'localhost', 'client';

$t->plan(11)->run();

###############################################################################

my $dir = $t->testdir();

# nginx gives up a session whose client did not show a certificate

$store->forget_calls();
my $r = tls_get(8443, version => 'TLSv1.2');

like($r->{response}, qr/ 400 /, 'no certificate');
is($store->wait_calls('delete', 1), 1, 'deleted once');
is($store->calls('put'), 1, 'after it was stored');
is($store->keys(), 0, 'gone');

$store->forget_calls();
$r = tls_get(8443, version => 'TLSv1.3');

like($r->{response}, qr/ 400 /, 'no certificate, tickets');
is($store->wait_calls('delete', 2), 2, 'deleted once for each ticket');
is($store->keys(), 0, 'gone, tickets');

# OpenSSL gives up a session that it finds to be too old: by its own clock, and
# before the client has proved to have the session

$store->clear();
$r = tls_get(8444, version => 'TLSv1.2');
my $key = $store->key(session_id($r->{session}));

$store->wait_id(session_id($r->{session}));
ok($store->persist($key), 'kept in the store');

select undef, undef, undef, 2.5;

$store->forget_calls();
is(tls_get(8444, version => 'TLSv1.2', session => $r->{session})->{reused}, 0,
	'too old');
is($store->calls('delete'), 0, 'not deleted when found to be too old');
ok($store->has_key($key), 'still there when found to be too old');

###############################################################################
