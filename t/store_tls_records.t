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

# A server that answers so many SETEX at once.

$t->write_file('store.c', <<'EOF');

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
serve(SSL *ssl, int fd, int total)
{
    int    len, size, stored = 0;
    BIO   *memory;
    char  *records, bytes[16384];

    memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, memory);

    while ((len = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
        if (count(bytes, len, "\r\nPING\r\n")) {
            SSL_write(ssl, "+PONG\r\n", 7);
        }

        stored += count(bytes, len, "\r\nSETEX\r\n");

        if (stored >= total) {
            for ( ; stored; stored--) {
                SSL_write(ssl, "+OK\r\n", 5);
            }
        }

        size = BIO_get_mem_data(memory, &records);

        if (write(fd, records, size) != size) {
            return;
        }

        (void) BIO_reset(memory);
    }
}

int
main(int argc, char **argv)
{
    int                 fd, listener, one = 1;
    SSL                *ssl;
    SSL_CTX            *ctx;
    struct sockaddr_in  address = {
        .sin_family = AF_INET,
        .sin_port = htons(atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };

    signal(SIGPIPE, SIG_IGN);

    ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_chain_file(ctx, argv[2]);
    SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));

    if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0
        || listen(listener, 16) != 0)
    {
        return 1;
    }

    while ((fd = accept(listener, NULL, NULL)) != -1) {
        ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);

        if (SSL_accept(ssl) == 1) {
            serve(ssl, fd, atoi(argv[4]));
        }

        SSL_free(ssl);
        close(fd);
    }

    return 1;
}

EOF

my $d = $t->testdir();

system("cc -o $d/store $d/store.c -lssl -lcrypto") == 0
	or die "Can't compile\n";

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('store', names => 'IP:127.0.0.1');

$t->run_daemon("$d/store", port(8379), "$d/store.crt", "$d/store.key",
	2 * HANDSHAKES);
$t->waitforsocket('127.0.0.1:' . port(8379)) or die "Can't start store\n";

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
