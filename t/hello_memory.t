#!/usr/bin/perl

# What has held a ClientHello back goes when the hello has been let through.
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
}

EOF

certificate($t, 'localhost');

$t->plan(2)->run();

###############################################################################

my $worker = worker($t);

refused(500);

is(growth($worker, sub { refused(4000) }), 0, 'no growth of memory');
is(tls_get(8443)->{body}, '.', 'the next client is served');

###############################################################################

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
