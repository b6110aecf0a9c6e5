#!/usr/bin/perl

# A ticket of the fleet's keys needs no lookup, and so no handshake that waits: a
# session that a client got over QUIC on one machine resumes over QUIC on
# another, on any nginx, and with the store gone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::QUIC;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v3 rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('gtlsclient');

my $config = store_config(<<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache   on type=%%STORE%% port=%%PORT_8379%% key=cache.key timeout=300ms;
    remote_ssl_session_tickets on;

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:%%PORT_8980_UDP%% quic;
        server_name  localhost;

        location / {
            return 200 "$http3 $ssl_session_reused $remote_ssl_session_cache_status";
        }
    }
}

EOC

my $store = store($t);

certificate($t, 'localhost');
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(8)->run();
SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/8443/8444/r =~ s/8980/8981/r);

###############################################################################

ok(wait_until(sub { $store->count() }), 'a seed is stored');
select undef, undef, undef, 0.3;

like(quic_get($t, 8980), qr/^h3 \. $/, 'QUIC, full handshake');
like(quic_get($t, 8981), qr/^h3 r TICKET$/, 'QUIC, resumed on another machine');
like(quic_get($t, 8980), qr/^h3 r TICKET$/, 'QUIC, and back');

$store->stop();

like(quic_get($t, 8981), qr/^h3 r TICKET$/, 'QUIC, without the store');
like(quic_get($t, 8980), qr/^h3 r TICKET$/, 'QUIC, and back without the store');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);

	is(tls_get(8444, version => $version, session => $r->{session})->{body},
		' r TICKET', "$version beside it");
}

###############################################################################
