#!/usr/bin/perl

# A client asks for renegotiation over and over, on one connection.  nginx
# refuses each time, and it costs nothing: no memory, and no stack.  Otherwise
# one client, without any credentials, kills a worker.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Plain;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

use constant COUNT => 20_000;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $cipher = plain_cipher();

$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_ciphers         $cipher;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        keepalive_timeout 600s;

        location / {
            return 200 "";
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(5)->run();

###############################################################################

my $worker = worker($t);

my $client = plain_connect(8443);
my $warm = renegotiate($client, 1000);
my $before = resident_size($worker);
my $refused = renegotiate($client, COUNT);
my $growth = resident_size($worker) - $before;

is($warm + $refused, 1000 + COUNT, 'all refused, on one connection');
cmp_ok($growth, '<', 1024, 'no growth of memory');
is($redis->wait_calls('put', 1), 1, 'one session');
is($redis->calls('get'), 0, 'no lookup');
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# Asks for so many renegotiations, by the header of an empty ClientHello; how
# many were refused by a warning (no_renegotiation).

sub renegotiate {
	my ($client, $count) = @_;

	my $socket = $client->socket();
	my $refused = 0;
	my $buffer = '';

	$socket->blocking(1);
	local $SIG{ALRM} = sub { die "timeout\n" };
	alarm(60);

	for (my $asked = 0; $asked < $count; $asked += 100) {
		syswrite $socket, join '',
			map { $client->record(22, "\1\0\0\0") } 1 .. 100;

		while ($refused < $asked + 100) {
			sysread($socket, $buffer, 65536, length $buffer)
				or return $refused;
			$refused++ while $buffer =~ s/^\x15\x03\x03(..)\x01\x64//s
				&& substr($buffer, 0, unpack('n', $1) - 2, '') ne '';
		}
	}

	alarm(0);

	return $refused;
}

###############################################################################
