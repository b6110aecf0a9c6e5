#!/usr/bin/perl

# A reply that has come while a worker stood still, as with its machine, is used
# when the worker goes on.  Otherwise all lookups under way would time out, and
# a store that is well would pass for one that is not.

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

    remote_ssl_session_cache on port=%%PORT_8379%% timeout=500ms;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$remote_ssl_session_cache_status $remote_ssl_session_cache_time";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(21)->run();

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer()->get('/')->{body} =~ /^HIT/ }), 'resumed before');

my $worker = worker($t);

foreach my $round (1 .. 10) {
	$redis->freeze();
	my $client = offer();
	ok(!$client->answered(0.1), "lookup waits, round $round");

	kill 'STOP', $worker;
	$redis->thaw();
	select undef, undef, undef, 0.8;
	kill 'CONT', $worker;

	like($client->get('/')->{body}, qr/^HIT/, "resumed, round $round");
}

###############################################################################

sub offer {
	return tls_hello(8443, version => 'TLSv1.2',
		session => $r->{session});
}

###############################################################################
