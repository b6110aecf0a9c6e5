#!/usr/bin/perl

# A server that also speaks HTTP/3 shares its SSL_CTX with QUIC, whose
# handshakes cannot be suspended.  It must load, and its TCP side resume.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v3 rewrite socket_ssl/)
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
        listen       127.0.0.1:%%PORT_8980_UDP%% quic;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(4)->run();
SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/8443/8444/r =~ s/8980/8981/r);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);

	ok($redis->wait_id(session_id($r->{session})), "$version, stored");
	is(tls_get(8444, version => $version,
		session => $r->{session})->{reused}, 1, "$version, resumed");
}

###############################################################################
