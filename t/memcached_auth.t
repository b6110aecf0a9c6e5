#!/usr/bin/perl

# A Memcached that wants a user and a password gets them; one line in its
# password file is all the set-up there is.  Otherwise anybody who reaches its
# port reads the sessions.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('memcached');

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

        remote_ssl_session_cache type=memcached port=%%PORT_8381%% auth=nginx:sec:ret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=memcached port=%%PORT_8381%% user=nginx auth=sec:ret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=memcached port=%%PORT_8381%% auth_file=login;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=memcached port=%%PORT_8381%% auth=nginx:mistaken;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8447 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=memcached port=%%PORT_8381%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

private_file($t, 'login', "nginx:sec:ret\n");

my $memcached = SSLSessionCache::Memcached->new($t,
	password => 'nginx:sec:ret', port => 8381);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(10)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $port (8443 .. 8445) {
	my $r = full($port);
	ok($memcached->wait_id(session_id($r->{session})), "stored, $port");
	is(offer($port + 20, $r), 1, "resumed, $port");
}

foreach my $port (8446, 8447) {
	is(offer($port + 20, full($port)), 0, "full handshake, $port");
}

my @lines = grep { /sslsessioncache: .* is down/ }
	split /\n/, $t->read_file('error.log');

is(@lines, 2, 'told once of each') or diag(join "\n", @lines);
unlike($t->read_file('error.log'), qr/sec:ret|mistaken/,
	'passwords are not logged');

###############################################################################

sub full {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2');
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused} // 'failed';
}

###############################################################################
