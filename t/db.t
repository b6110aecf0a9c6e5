#!/usr/bin/perl

# Sessions lie in the database that the directive names, and no other; a
# database that Redis does not have is a store that is down.  Otherwise the
# sessions mix with what another application keeps.

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

        remote_ssl_session_cache port=%%PORT_8379%% db=0;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% db=7;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% db=16;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, args => [ '--databases', 16 ]);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(9)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $case ([ 8443, 0, 7 ], [ 8444, 7, 0 ]) {
	my ($port, $db, $other) = @$case;

	my $r = full($port);
	my $id = session_id($r->{session});

	$redis->command('SELECT', $db);
	ok($redis->wait_id($id), "stored in $db");
	is(offer($port + 20, $r), 1, "resumed from $db");

	$redis->command('SELECT', $other);
	is($redis->command('EXISTS', $redis->key($id)), 0, "not in $other");
}

is(offer(8465, full(8445)), 0, 'no such database, full handshake');

my @down = grep { /sslsessioncache: .* is down/ }
	split /\n/, $t->read_file('error.log');

is(@down, 1, 'no such database, told once');
like($down[0], qr/DB index is out of range/, 'no such database, reason');

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
