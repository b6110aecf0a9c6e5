#!/usr/bin/perl

# A store that sends messages of TLS itself, such as key updates, as fast as they
# are taken is a store that is down.  OpenSSL reads on as long as there are any:
# without a limit, whoever runs the store could hold a worker with all of its
# clients for as long as he likes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Authority;
use SSLSessionCache::TLS;

###############################################################################

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
                             interval=10ms timeout=1s;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "";
        }
    }
}

EOF

# A server that answers the handshake, every other time the PING as well, and
# then sends key updates only.

$t->write_file('flood.c', <<'EOF');

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
flood(SSL *ssl, int fd)
{
    int         i;
    long        size;
    char       *bytes;
    BIO        *memory;
    static int  answers;

    memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, memory);

    if (answers++ % 2) {
        SSL_write(ssl, "+PONG\r\n", 7);
    }

    do {
        for (i = 0; i < 1000; i++) {
            SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
            SSL_do_handshake(ssl);
        }

        size = BIO_get_mem_data(memory, &bytes);

        if (write(fd, bytes, size) != size) {
            return;
        }

    } while (BIO_reset(memory) == 1);
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
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
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
            flood(ssl, fd);
        }

        SSL_free(ssl);
        close(fd);
    }

    return 1;
}

EOF

my $d = $t->testdir();

system("cc -o $d/flood $d/flood.c -lssl -lcrypto") == 0
	or die "Can't compile\n";

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('store', names => 'IP:127.0.0.1');

$t->run_daemon("$d/flood", port(8379), "$d/store.crt", "$d/store.key");
$t->waitforsocket('127.0.0.1:' . port(8379)) or die "Can't start flood\n";

$t->plan(3)->run();

###############################################################################

my ($longest, $failed, $end) = (0, 0, time() + 5);

while (time() < $end) {
	my $start = time();
	my $r = tls_get(8443);
	my $seconds = time() - $start;

	$failed++ unless defined $r->{body};
	$longest = $seconds if $seconds > $longest;
}

is($failed, 0, 'no handshake fails');
cmp_ok($longest, '<', 1, 'no handshake waits');
my %reasons = map { $_ => 1 }
	$t->read_file('error.log') =~ /sslsessioncache: redis .*: ([^:;\n]+)/g;

is_deeply([sort keys %reasons], ['too many TLS messages without data'],
	'reason in the log');

###############################################################################
