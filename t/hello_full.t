#!/usr/bin/perl

# What arrives with a long ClientHello may fill all the room that there is to
# hold it back.  More that comes while its session is looked up is no end of the
# connection: the handshake goes on.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

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
    ssl_protocols       TLSv1.2;

    remote_ssl_session_cache port=%%PORT_8378%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $link = SSLSessionCache::Link->new($t, delay => 0.2);
certificate($t, 'localhost');

$t->plan(2)->run();

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.2');
$redis->wait_id(session_id($r->{session}));

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.2',
	padding => 24 * 1024, session => $r->{session})->hello();
my $record = pack 'CnnC1000', 23, 0x303, 1000, (0) x 1000;

# the worker finds the first part all at once

my $worker = worker($t);
my $socket = SSLSessionCache::Hello::connected(8443);

kill 'STOP', $worker;
syswrite $socket, $hello . $record x 12;
kill 'CONT', $worker;

select undef, undef, undef, 0.1;
syswrite $socket, $record;

sysread $socket, my $answer, 6;

like(unpack('H*', $answer), qr/^160303....02$/, 'ServerHello');
is($link->lookups(), 1, 'after one lookup');

###############################################################################
