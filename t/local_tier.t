#!/usr/bin/perl

# nginx's own shared cache stays in front of the store: what it holds costs no
# question to the store, and is resumed while the store is away.  Without it
# every resumption pays for a round trip.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

my $config = store_config(<<'EOF');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%%;
    ssl_session_cache shared:local:1m;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(18)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);

###############################################################################

my %kept;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	$store->forget_calls();

	my $r = tls_get(8443, version => $version);
	ok($store->wait_id(session_id($r->{session})), "$version, stored");

	is(offer(8443, $r), 1, "$version, resumed where it was made");
	is($store->calls('get'), 0, "$version, no lookup");

	is(offer(8444, $r), 1, "$version, resumed elsewhere");
	is($store->calls('get'), 1, "$version, one lookup");

	is(offer(8444, $r), 1, "$version, resumed elsewhere again");
	is($store->calls('get'), 1, "$version, no other lookup");

	$kept{$version} = $r;
}

$store->stop();

foreach my $version (sort keys %kept) {
	is(offer(8443, $kept{$version}), 1, "$version, resumed without a store");
	is(offer(8444, $kept{$version}), 1,
		"$version, resumed elsewhere without a store");
}

###############################################################################

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused};
}

###############################################################################
