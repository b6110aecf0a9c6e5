#!/usr/bin/perl

# What is no store of the type that is configured, or speaks TLS where that is
# off, answers in its own way: the log says what it seems to be, and which
# parameter to look at.  Otherwise operators search for the meaning of
# "unexpected reply".

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; $ENV{TEST_NGINX_STORE} = 'redis'; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Memcached;
use SSLSessionCache::Misbehaving;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl')
	->has_daemon('redis-server')->has_daemon('memcached');

# Redis at 8379 and with TLS at 8381, Memcached at 8380, a web server at 8080,
# and at 8382 what answers with an alert of TLS

my $web = qr/unexpected reply; it answers like a web server: check its address/;
my $tls = 'tls=on tls_ca=ca.crt';

my @cases = (
	[ 'type=redis port=%%PORT_8380%%',
		qr/unexpected reply; it answers like a Memcached: is "type" right\?/ ],
	[ 'type=memcached port=%%PORT_8379%%',
		qr/unexpected reply; it answers like a Redis: is "type" right\?/ ],
	[ 'type=redis port=%%PORT_8080%%', $web ],
	[ 'type=memcached port=%%PORT_8080%%', $web ],
	[ 'type=redis port=%%PORT_8381%%',
		qr/(?:recv.*; is it a TLS port\?|.* whether it is a TLS port, and)/ ],
	[ 'type=redis port=%%PORT_8382%%',
		qr/unexpected reply; is it a TLS port\? then turn "tls" on/ ],
	[ "type=redis port=%%PORT_8080%% $tls",
		qr/TLS handshake failed: .*; does it speak TLS\? if not, leave "tls"/ ],
	[ 'type=redis port=%%PORT_8381%% tls=on tls_ca=other.crt',
		qr/TLS handshake failed: .*certificate.*; check "tls_ca"/ ],
	[ "type=redis port=%%PORT_8381%% $tls tls_name=other.example",
		qr/TLS handshake failed: hostname mismatch; check "tls_name"/ ],
);

my $port = 8443;
my $servers = join '', map { <<"EOF" } @cases;
    server {
        listen  127.0.0.1:@{[ $port++ ]} ssl;

        remote_ssl_session_cache $_->[0];
    }
EOF

certificate($t, 'localhost');
SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'IP:127.0.0.1');
SSLSessionCache::Authority->new($t, 'other');

my $dir = $t->testdir();

SSLSessionCache::Redis->new($t, args => [ '--tls-port', port(8381),
	'--tls-cert-file', "$dir/redis.crt", '--tls-key-file', "$dir/redis.key",
	'--tls-ca-cert-file', "$dir/ca.crt", '--tls-auth-clients', 'no' ]);
SSLSessionCache::Memcached->new($t, port => 8380);
SSLSessionCache::Misbehaving->new($t, port => 8382)
	->fault('ping', 'instead', "\x15\x03\x01\0\x02\x02\x46");

$t->write_file_expand('nginx.conf', <<"EOF")->plan(scalar @cases)->run();

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen  127.0.0.1:8080;
    }

$servers
}

EOF

###############################################################################

foreach my $case (@cases) {
	my ($parameters, $hint) = @$case;

	ok(wait_until(sub { $t->read_file('error.log')
		=~ /is down: $hint/ }), $parameters);
}

###############################################################################
