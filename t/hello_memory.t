#!/usr/bin/perl

# What has held a ClientHello back goes when the hello has been let through, and
# what was held of it: a connection that is kept takes no more for a long hello.
# However many are, and whatever is wrong with them, no memory stays behind: it
# would with OpenSSL 3.2 and later, whose record layer has a hold on it as well.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
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

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache off;
        ssl_session_tickets off;

        location / {
            return 200 "";
        }
    }
}

EOF

certificate($t, 'localhost');

$t->plan(3)->run();

###############################################################################

my $worker = worker($t);

refused(500);

is(growth($worker, sub { refused(4000) }), 0, 'no growth of memory');
is(tls_get(8443)->{body}, '.', 'the next client is served');

my @clients;
my ($without, $with) = map { kept($_) } 8444, 8443;
cmp_ok($with, '<', $without + 5 * 200, 'no more memory for a long hello')
	or diag("$with kB against $without kB");
@clients = ();

###############################################################################

# The memory that connections take which are kept, in kilobytes, with hellos of
# 10 kB.

sub kept {
	my ($port) = @_;

	my $before = resident_size($worker);

	push @clients, map {
		tls_hello($port, version => 'TLSv1.2', padding => 10_000)
			->handshake();
	} 1 .. 200;

	return resident_size($worker) - $before;
}

# So many that begin with another message, and get an alert.

sub refused {
	my ($count) = @_;

	foreach (1 .. $count) {
		my $socket = SSLSessionCache::Hello::connected(8443);

		syswrite $socket, "\x16\x03\x01\x00\x04\x02\x00\x00\x00";
		sysread $socket, my $alert, 100;
	}
}

###############################################################################
