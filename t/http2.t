#!/usr/bin/perl

# HTTP/2 over a resumed connection, and ALPN, which is negotiated anew each
# time.  Otherwise a browser that comes back falls to HTTP/1.1, or fails.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::HTTP2;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v2 rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        http2 on;

        location / {
            return 200 "$http2 $ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(14)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my %client = (version => $version, alpn => [ 'h2', 'http/1.1' ]);

	my ($body, $session) = h2_get(8443, %client);
	ok($redis->wait_id(session_id($session)), "$version, stored");
	is($body, 'h2 .', "$version, full handshake");

	($body) = h2_get(8444, %client, session => $session);
	is($body, 'h2 r', "$version, resumed");

	my $r = tls_get(8444, %client, alpn => [ 'http/1.1' ],
		session => $session);
	is($r->{alpn}, 'http/1.1', "$version, other protocol");
	is($r->{body}, ' r', "$version, other protocol, resumed");

	$r = tls_get(8444, version => $version, session => $session);
	is($r->{alpn}, undef, "$version, no protocol");
	is($r->{body}, ' r', "$version, no protocol, resumed");
}

###############################################################################
