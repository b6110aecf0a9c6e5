#!/usr/bin/perl

# A client has its tickets, while the worker is busy with the handshakes of
# others for some time: its session is in the store already.  Otherwise a client
# that comes back at once, to another machine, is not known there.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Select;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

use constant ROUNDS => 5;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

# the key is decrypted for each handshake

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    map $ssl_server_name $key {
        default %%TESTDIR%%/encrypted.key;
    }

    ssl_certificate     localhost.crt;
    ssl_certificate_key $key;
    ssl_password_file   password;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
    }
}

EOF

my $dir = $t->testdir();
my $redis = SSLSessionCache::Redis->new($t);

certificate($t, 'localhost');
$t->write_file('password', "secret\n");
system("openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 60000 -passout pass:secret "
	. "-in $dir/localhost.key -out $dir/encrypted.key") == 0
	or die "Can't encrypt the key\n";
chmod 0755, $dir;
chmod 0644, "$dir/encrypted.key";

$t->plan(1)->run();

###############################################################################

my $worker = worker($t);

my $in_time = grep { made_in_time() } 1 .. ROUNDS;

cmp_ok($in_time, '>=', ROUNDS - 2, 'stored before the turn is over');

###############################################################################

# The last step of one handshake, and the first of many others, in one turn of
# the worker: whether the session of the one is stored while some of the others
# still wait for an answer.

sub made_in_time {
	my $connections = connections($worker);
	my @sockets = map { SSLSessionCache::Hello::connected(8443) } 1 .. 20;
	my $client = tls_hello(8443, version => 'TLSv1.3');

	$client->answered(10);
	wait_until(sub { connections($worker) == $connections + 21 });

	kill 'STOP', $worker;
	$client->handshake();
	my @others = map { tls_hello(8443, version => 'TLSv1.3', socket => $_) }
		@sockets;
	kill 'CONT', $worker;

	$client->answered(10);
	Net::SSLeay::read($client->{ssl});

	my $key = $redis->key(session_id($client->session()));
	my $others = IO::Select->new(@sockets);
	my $waiting = sub { $others->count() - (() = $others->can_read(0)) };
	wait_until(sub { $redis->has_key($key) or $waiting->() == 0 });
	my $is_stored = $waiting->() > 0;

	$others->remove(@sockets);
	@others = @sockets = $client = ();
	wait_until(sub { connections($worker) <= $connections });

	return $is_stored;
}

###############################################################################
