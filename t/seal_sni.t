#!/usr/bin/perl

# A sealed session is resumed under the name that it was made for, also if that
# is not the default server's, and another certificate is its own.  Since nginx
# 1.29.2 the session belongs to that server; before, to the default one.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

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

    ssl_protocols  TLSv1.2 TLSv1.3;

    remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  one.example;

        ssl_certificate     one.crt;
        ssl_certificate_key one.key;

        location / {
            return 200 "$ssl_session_reused $server_name";
        }
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  two.example;

        ssl_certificate     two.crt;
        ssl_certificate_key two.key;

        location / {
            return 200 "$ssl_session_reused $server_name";
        }
    }
}

EOF

SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'one', 'two';
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(4)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/gr);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $name ('one.example', 'two.example') {
		my @client = (version => $version, sni => $name);
		my $r = tls_get(8443, @client);

		# stored when the handshake is over: the client may know first
		ok(wait_until(sub {
			tls_get(8444, @client, session => $r->{session})->{body}
				eq "r $name";
		}), "$version, $name, resumed");
	}
}

###############################################################################
