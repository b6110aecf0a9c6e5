#!/usr/bin/perl

# A store that closes idle connections costs the next handshake at most the
# moment that a new one takes.  Otherwise, with a long interval, each client of
# a quiet site that comes after the close finds the store down.

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

    remote_ssl_session_cache on port=%%PORT_8379%% interval=5s;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$remote_ssl_session_cache_status $remote_ssl_session_cache_time";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, idle_timeout => 1);
certificate($t, 'localhost');

$t->plan(3)->run();

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer() =~ /^HIT/ }), 'resumed before');

my (@statuses, @connected);

foreach (1 .. 4) {
	my ($id) = $redis->clients();

	wait_until(sub { !grep { $_ == $id } $redis->clients() }, 20);
	push @statuses, offer();
	push @connected, scalar $redis->clients();
}

is(grep({ /^HIT/ } @statuses), 4, 'resumed after each close')
	or diag("@statuses");
is("@connected", '1 1 1 1', 'connected anew each time');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // '';
}

###############################################################################
