#!/usr/bin/perl

# The connection to the store is kept over idle times by PING, also where Redis
# closes idle connections.  Otherwise the first client after a quiet minute
# would find it closed.

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
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% interval=300ms;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, args => [ '--timeout', 2 ]);
certificate($t, 'localhost');

$t->plan(5)->run();

###############################################################################

my $client;
wait_until(sub { ($client) = client(); $client });

my $r = tls_get(8443, version => 'TLSv1.2');
ok($redis->wait_id(session_id($r->{session})), 'stored');

$redis->forget_calls();
select undef, undef, undef, 4.5;

my $pings = $redis->calls('ping');
is((client())[0], $client, 'same connection');
cmp_ok($pings, '>=', 5, 'probed while idle');
cmp_ok($pings, '<=', 15, 'not more often than told');

is(tls_get(8443, version => 'TLSv1.2', session => $r->{session})->{reused}, 1,
	'resumed after idleness');

###############################################################################

sub client {
	return map { /^id=(\d+)/ } $redis->clients();
}

###############################################################################
