#!/usr/bin/perl

# A store that sends messages of TLS itself, such as key updates, as fast as they
# are taken is a store that is down.  OpenSSL reads on as long as there are any:
# without a limit, whoever runs the store could hold a worker with all of its
# clients for as long as he likes.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

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
use SSLSessionCache::TLSServer;

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

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('store', names => 'IP:127.0.0.1');

# The PING is answered every other time; then come key updates only.

SSLSessionCache::TLSServer->new($t, cert => 'store', serve => <<'EOF');

static void
serve(SSL *ssl)
{
    int         i;
    static int  answers;

    if (answers++ % 2) {
        SSL_write(ssl, "+PONG\r\n", 7);
    }

    do {
        for (i = 0; i < 1000; i++) {
            SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
            SSL_do_handshake(ssl);
        }

    } while (flush());
}

EOF

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
