package SSLSessionCache::TLSServer;

# A TLS 1.3 server that stands for a store which does what no real one can be
# made to do: a test says in C how it goes on after the handshake.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use Test::Nginx;

my $head = <<'EOF';

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int   fd;
static BIO  *memory;

static int
flush(void)
{
    char  *bytes;
    long   size = BIO_get_mem_data(memory, &bytes);

    return write(fd, bytes, size) == size && BIO_reset(memory) == 1;
}

EOF

my $main = <<'EOF';

int
main(int argc, char **argv)
{
    int                 listener, one = 1;
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
            memory = BIO_new(BIO_s_mem());
            SSL_set0_wbio(ssl, memory);
            serve(ssl);
        }

        SSL_free(ssl);
        close(fd);
    }

    return 1;
}

EOF

###############################################################################

# Options: port as in Test::Nginx::port() (8379), cert: the name of a certificate
# in the test's directory, serve: a C function serve(SSL *), called after each
# handshake. What it writes waits until it calls flush(), which is true if it
# was sent.

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t, port => 8379, %opts);
	my ($dir, $port) = ($t->testdir(), port($self->{port}));
	my $program = "$dir/server.$port";

	$t->write_file("server.$port.c", $head . $self->{serve} . $main);
	system("cc -o $program $program.c -lssl -lcrypto") == 0
		or die "Can't compile\n";

	$self->launch($program, $port, map { "$dir/$self->{cert}.$_" }
		'crt', 'key');
	$t->waitforsocket("127.0.0.1:$port") or die "Can't start server\n";

	return $self;
}

###############################################################################

1;

###############################################################################
