#!/usr/bin/perl

# A server that also speaks HTTP/3 shares its SSL_CTX with QUIC, whose
# handshakes cannot be suspended.  They resume from the tier of the machine, and
# are full ones elsewhere; what comes over TCP resumes everywhere.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::QUIC;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v3 rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('gtlsclient');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%%;
    ssl_session_cache        shared:SSL:1m;

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:%%PORT_8980_UDP%% quic;
        server_name  localhost;

        location / {
            return 200 "$http3 $ssl_session_reused $remote_ssl_session_cache_status";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(9)->run();
SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/8443/8444/r =~ s/8980/8981/r);

###############################################################################

like(quic_get($t, 8980), qr/^h3 \. $/, 'QUIC, full handshake');
ok(wait_until(sub { $redis->keys() == 2 }), 'QUIC, stored');
like(quic_get($t, 8980), qr/^h3 r LOCAL$/, 'QUIC, resumed on this machine');
like(quic_get($t, 8981), qr/^h3 \. MISS$/, 'QUIC, full handshake on another');
like(quic_get($t, 8981), qr/^h3 r LOCAL$/, 'QUIC, then resumed there');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);

	ok($redis->wait_id(session_id($r->{session})), "$version, stored");
	is(tls_get(8444, version => $version,
		session => $r->{session})->{body}, ' r HIT', "$version, resumed");
}

###############################################################################
