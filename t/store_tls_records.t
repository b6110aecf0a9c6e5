#!/usr/bin/perl

# Replies that pile up while a worker is busy, each in a TLS record of its own,
# are replies.  Otherwise the worker takes a store for one that floods it, and
# closes the connection with all that waits for it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::TLSServer;

###############################################################################

# two sessions each: together more replies than OpenSSL reads from the socket at
# once

use constant HANDSHAKES => 400;

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%% tls=on tls_ca=ca.crt
                             timeout=30s;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "";
        }
    }

    server {
        listen       127.0.0.1:8080;

        location = /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('store', names => 'IP:127.0.0.1');

# So many SETEX are answered at once.

SSLSessionCache::TLSServer->new($t, cert => 'store',
	serve => '#define TOTAL ' . 2 * HANDSHAKES . <<'EOF');

static int
count(const char *bytes, int len, const char *word)
{
    int          n;
    const char  *at, *end = bytes + len;

    for (n = 0; (at = memmem(bytes, end - bytes, word, strlen(word))); n++) {
        bytes = at + strlen(word);
    }

    return n;
}

static void
serve(SSL *ssl)
{
    int   len, stored = 0;
    char  bytes[16384];

    while ((len = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
        if (count(bytes, len, "\r\nPING\r\n")) {
            SSL_write(ssl, "+PONG\r\n", 7);
        }

        stored += count(bytes, len, "\r\nSETEX\r\n");

        if (stored >= TOTAL) {
            for ( ; stored; stored--) {
                SSL_write(ssl, "+OK\r\n", 5);
            }
        }

        if (!flush()) {
            return;
        }
    }
}

EOF

$t->plan(3)->run();

###############################################################################

tls_get(8443, version => 'TLSv1.3') for 1 .. HANDSHAKES;

my $store = wait_status(sub {
	$_[0]{stores}[0]{workers}[0]{queued_commands} == 0
})->{stores}[0];

is($store->{sessions_sent}, 2 * HANDSHAKES, 'sent');
is($store->{sessions_failed}, 0, 'stored');
is($store->{failures}, 0, 'by one connection');

###############################################################################
