#!/usr/bin/perl

# What cannot be sent at once over TLS to the store, as its link is stuck, is
# sent once it can be, with all that was added in the meantime.  Otherwise a
# moment of congestion breaks the connection and loses what waits.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

# together more than the kernel keeps for a connection on the loopback, and
# less than waits at most

use constant SESSIONS => 270;
use constant SIZE => 14000;

my $t = Test::Nginx->new();

my $dir = $t->testdir();

SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'IP:127.0.0.1')
	->issue('client', comment => 'x' x SIZE);

my $redis = SSLSessionCache::Redis->new($t, args => [
	'--tls-port', port(8381), '--tls-auth-clients', 'no',
	'--tls-cert-file', "$dir/redis.crt", '--tls-key-file', "$dir/redis.key",
	'--tls-ca-cert-file', "$dir/ca.crt",
]);
my $link = SSLSessionCache::Link->new($t, peer => 8381, buffer => 4096);

single($t,
	store => $redis,
	cache => 'port=%%PORT_8378%% tls=on tls_ca=ca.crt timeout=30s',
	server => 'ssl_verify_client optional_no_ca;',
);
$t->plan(4);

###############################################################################

full();
is($redis->wait_keys(1), 1, 'stored');

$link->signal('STOP');
my @made = map { full() } 2 .. SESSIONS;
$link->signal('CONT');

is(grep({ $_ } @made), SESSIONS - 1, 'handshakes are not held up');
is($redis->wait_keys(SESSIONS), SESSIONS, 'all stored');
unlike($t->read_file('error.log'), qr/sslsessioncache: .* is down/,
	'by one connection');

###############################################################################

sub full {
	return tls_get(8443, version => 'TLSv1.2', cert => "$dir/client")
		->{session};
}

###############################################################################
