#!/usr/bin/perl

# Fleets with different prefixes share one store and one connection, and never
# a session.  Otherwise two fleets need two stores, or one resumes what the
# other has made.

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% prefix=one:;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% prefix=two:;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my %prefix = (8443 => 'one:', 8444 => 'two:', 8445 => 'sslsessioncache:');

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(13)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $port (sort keys %prefix) {
	my $prefix = $prefix{$port};

	my $r = full($port);
	my $key = $prefix . unpack 'H*', session_id($r->{session});

	ok(wait_until(sub { $redis->command('EXISTS', $key) }), "$prefix, key");
	is(offer($port + 20, $r), 1, "$prefix, resumed");

	foreach my $other (grep { $_ != $port } sort keys %prefix) {
		is(offer($other + 20, $r), 0, "$prefix, not found by $prefix{$other}");
	}
}

is($redis->clients(), 2, 'one connection of each worker');

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
