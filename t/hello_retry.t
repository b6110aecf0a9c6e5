#!/usr/bin/perl

# A client whose key share the server does not take says hello twice, and its
# session is looked up twice: the store is asked once, and the client is
# resumed all the same.

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

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
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
    ssl_ecdh_curve secp384r1;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(6)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);

###############################################################################

my $groups = 'P-256:P-384';
my @client = (version => 'TLSv1.3', groups => $groups);

my $r = tls_get(8443, @client);
ok($redis->wait_id(session_id($r->{session})), 'stored');

$redis->forget_calls();
is(tls_get(8444, @client, session => $r->{session})->{reused}, 1, 'reused');
is($redis->calls('get'), 1, 'one lookup');

# it is a hello that is retried

my $session = write_session($t, 'session', $r->{session});
my $output = `echo | timeout 10 openssl s_client -tls1_3 -groups $groups -msg \\
	-servername localhost -sess_in $session \\
	-connect 127.0.0.1:${\port(8444)} 2>&1`;

like($output, qr/^Reused, TLSv1\.3/m, 'reused by s_client');
is(() = $output =~ /^>>> .*ClientHello/mg, 2, 'two hellos');

# unknown to the store: a miss, twice

$redis->clear();
is(tls_get(8444, @client, session => $r->{session})->{reused}, 0, 'unknown');

###############################################################################
