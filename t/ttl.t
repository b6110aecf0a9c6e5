#!/usr/bin/perl

# A session lies in the store for as long as nginx would resume it.  Otherwise
# the store fills up with sessions that are of no use, or sessions get lost
# before their time.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Store;
use SSLSessionCache::TLS;

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

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        ssl_session_timeout 60s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        ssl_session_timeout 40d;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
certificate($t, 'localhost');

$t->plan(7)->run();

###############################################################################

lives('TLSv1.2', 8443, 300, 'five minutes by default');
lives('TLSv1.3', 8443, 300, 'five minutes by default, tickets');
lives('TLSv1.2', 8444, 60, 'one minute');
lives('TLSv1.3', 8444, 60, 'one minute, tickets');
lives('TLSv1.2', 8445, 40 * 86400, 'forty days');
lives('TLSv1.3', 8445, 7 * 86400, 'a week, tickets: clients keep none for longer');

# resumption makes a new ticket, which lives as long

my $r = tls_get(8444, version => 'TLSv1.3');
$store->wait_id(session_id($r->{session}));
$r = tls_get(8444, version => 'TLSv1.3', session => $r->{session});
$store->wait_id(session_id($r->{session}));

near($store->ttl($store->key(session_id($r->{session}))), 60,
	'one minute, ticket of a resumption');

###############################################################################

sub lives {
	my ($version, $port, $expected, $name) = @_;

	$store->clear();

	tls_get($port, version => $version);

	my @keys = $store->wait_keys($version eq 'TLSv1.2' ? 1 : 2);
	my ($shortest) = sort { $a <=> $b }
		map { $store->ttl($_) } @keys;

	near($shortest, $expected, $name);
}

# A store's clock may tick later than nginx's.

sub near {
	my ($ttl, $expected, $name) = @_;

	ok($ttl > $expected - 10 && $ttl <= $expected + 1, $name)
		or diag("TTL is $ttl");
}

###############################################################################
