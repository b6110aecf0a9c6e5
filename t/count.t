#!/usr/bin/perl

# At most so many commands wait for the store; a lookup beyond them is a miss,
# never an error, and does not wait.  Without a bound a slow store would pile
# up memory, with an error in its place handshakes would fail.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::SlowLink;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

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

        remote_ssl_session_cache port=%%PORT_8378%% count=1
                                         interval=1m;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%% count=4
                                         interval=1m;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%% count=unlimited
                                         interval=1m;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
SSLSessionCache::SlowLink->new($t, delay => 0.3);
certificate($t, 'localhost');

$t->plan(15)->run();

###############################################################################

my $lookups = 20;
my $r = tls_get(8443, version => 'TLSv1.2');
$redis->wait_id(session_id($r->{session}));

bounded(8444, 1, 'one');
bounded(8445, 4, 'four');
bounded(8446, $lookups, 'unlimited');

###############################################################################

sub bounded {
	my ($port, $count, $name) = @_;

	ok(wait_until(sub { offer($port)->{reused} }), "$name, link is up");

	# what those tries have stored is over
	select undef, undef, undef, 0.5;

	$redis->forget_calls();
	my @clients = map { tls_hello($port, version => 'TLSv1.2',
		session => $r->{session}) } 1 .. $lookups;

	$redis->wait_calls('get', $count);
	wait_until(sub { answered(@clients) == $lookups - $count }, 0.25);
	is(answered(@clients), $lookups - $count, "$name, others do not wait");

	my @got = map { my $c = $_; eval { $c->get('/') } // {} } @clients;

	is(grep({ defined $_->{body} } @got), $lookups, "$name, none fails");
	is(grep({ $_->{reused} } @got), $count, "$name, resumed");
	is($redis->calls('get'), $count, "$name, lookups");
}

sub answered {
	my $count = grep { $_->answered() } @_;

	return $count;
}

sub offer {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2', session => $r->{session});
}

###############################################################################
