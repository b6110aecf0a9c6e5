#!/usr/bin/perl

# Two servers with stores of their own: the sessions of each go to its store and
# are looked up there.  Otherwise one tenant's sessions lie in another's store.

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8380%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my @stores = map { SSLSessionCache::Redis->new($t, port => $_) } 8379, 8380;
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(14)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

my @servers = (8443, 8444);
my @others = (8463, 8464);

foreach my $own (0, 1) {
	my $foreign = 1 - $own;

	$_->clear() foreach @stores;

	my $r = tls_get($servers[$own], version => 'TLSv1.2');
	my $id = session_id($r->{session});

	ok($stores[$own]->wait_id($id), "server $own, stored");
	is($stores[$foreign]->keys(), 0, "server $own, only there");
	is(($stores[$own]->keys())[0], 'sslsessioncache:' . unpack('H*', $id),
		"server $own, under its id");

	$_->forget_calls() foreach @stores;

	is(offer($others[$own], $r), 1, "server $own, resumed elsewhere");
	is($stores[$foreign]->calls('get'), 0, "server $own, looked up there");

	is(offer($others[$foreign], $r), 0, "server $own, unknown to the other");
	is($stores[$own]->calls('get'), 1, "server $own, asked once");
}

###############################################################################

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
