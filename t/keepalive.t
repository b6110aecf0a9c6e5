#!/usr/bin/perl

# The connection to the store is kept over idle times by probes, also where the
# store closes idle connections.  Otherwise the first client after a quiet minute
# would find it closed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', store_config(<<'EOF'));

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

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%%
                                 interval=300ms;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t, idle_timeout => 2);
my $link = SSLSessionCache::Link->new($t);
certificate($t, 'localhost');

$t->plan(5)->run();

###############################################################################

my $client;
wait_until(sub { ($client) = $store->clients(); $client });

my $r = tls_get(8443, version => 'TLSv1.2');
ok($store->wait_id(session_id($r->{session})), 'stored');

my $before = $link->probes();
select undef, undef, undef, 4.5;

my $probes = $link->probes() - $before;
is(join(' ', $store->clients()), $client, 'same connection');
cmp_ok($probes, '>=', 5, 'probed while idle');
cmp_ok($probes, '<=', 15, 'not more often than told');

is(tls_get(8443, version => 'TLSv1.2', session => $r->{session})->{reused}, 1,
	'resumed after idleness');

###############################################################################
