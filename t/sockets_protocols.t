#!/usr/bin/perl

# Servers of one socket with other protocols: the sessions of each are resumed
# on another machine.  Since nginx 1.29.2 the protocols are those of the server
# that the client means by its name, which is not known yet when a ClientHello
# is held back: who then looks only for what the default server would ask for
# never finds the sessions of the others.

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

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  old.example;

        ssl_protocols TLSv1.2;

        location / {
            return 200 "$ssl_session_reused $ssl_protocol $server_name";
        }
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  new.example;

        ssl_protocols TLSv1.2 TLSv1.3;

        location / {
            return 200 "$ssl_session_reused $ssl_protocol $server_name";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  new.example;

        ssl_protocols TLSv1.2 TLSv1.3;

        location / {
            return 200 "$ssl_session_reused $ssl_protocol $server_name";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  old.example;

        ssl_protocols TLSv1.2;

        location / {
            return 200 "$ssl_session_reused $ssl_protocol $server_name";
        }
    }
}

EOF

SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(8)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/:84/:85/gr);

###############################################################################

my $by_name = $t->has_version('1.29.2');
my %protocols = ('old.example' => 'TLSv1.2', 'new.example' => 'TLSv1.3');
my %defaults = (8443 => 'TLSv1.2', 8444 => 'TLSv1.3');

foreach my $port (8443, 8444) {
	foreach my $name ('old.example', 'new.example') {
		my $protocol = $by_name ? $protocols{$name} : $defaults{$port};
		my $r = tls_get($port, sni => $name);

		is($r->{body}, ". $protocol $name", "$port, $name, made");
		ok(wait_until(sub {
			my $got = tls_get($port + 100, sni => $name,
				session => $r->{session});
			return ($got->{body} // '') eq "r $protocol $name";
		}), "$port, $name, resumed");
	}
}

###############################################################################
