#!/usr/bin/perl

# TLS to a store, and each way in which it fails, is told by "check": whom the
# certificate is for, when it expires, and which of both ends speaks no TLS.
# Otherwise the first to know is whoever reads the log of nginx after the store has
# been down for a night.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Memcached;
use SSLSessionCache::Redis;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('memcached')->plan(29);
my $dir = $t->testdir();

SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'DNS:redis.example,DNS:localhost,IP:127.0.0.1',
		days => 40)
	->issue('soon', names => 'IP:127.0.0.1', days => 5)
	->issue('expired', names => 'IP:127.0.0.1', days => -1)
	->issue('nginx');
SSLSessionCache::Authority->new($t, 'other')->issue('stranger');

my @redis = map { redis($t, @$_) } [ 8380, 'redis', 'no' ], [ 8382, 'redis', 'yes' ],
	[ 8384, 'expired', 'no' ], [ 8386, 'soon', 'no' ];
SSLSessionCache::Memcached->new($t, port => 8389);
SSLSessionCache::Memcached->new($t, port => 8388, args => [
	'-Z', '-o', "ssl_chain_cert=$dir/redis.crt,ssl_key=$dir/redis.key" ]);

my @tls = ('tls=on', "tls_ca=$dir/ca.crt");

###############################################################################

my $r = check(8381, @tls);

is($r->{status}, 0, 'address') or diag($r->{out});
like($r->{out}, qr/^\ \ ok\ \ \ \ \ \ \ TLSv1\.3,\ certificate\ for\ redis\.example,
	\ localhost,\ 127\.0\.0\.1\ of\ ca,\ trusted\ by\ ca$/mx, 'certificate');
unlike($r->{out}, qr/certificate expires/, 'it is valid for long');
is(check(8381, @tls, 'tls_name=redis.example')->{status}, 0, 'name');
is(check(8383, @tls, "tls_cert=$dir/nginx.crt", "tls_key=$dir/nginx.key")->{status},
	0, 'certificate of the client');
is(check(8388, 'type=memcached', @tls)->{status}, 0, 'Memcached');

$r = check(8387, @tls);

is($r->{status}, 0, 'soon expired');
like($r->{out}, qr/^  warning  the certificate expires in [45] days\n *-> renew it/m,
	'told');

$r = check(8385, 'tls=on', 'tls_verify=off');

is($r->{status}, 0, 'not verified');
like($r->{out}, qr/^  warning  tls_verify=off: .*\n *-> set tls_verify=on/m,
	'not verified is warned of');
like($r->{out}, qr/^  warning  the certificate has expired/m, 'and so is its end');

fails('wrong CA', 8381, qr/self.signed.*\n *-> tls_ca= must have .* "ca"/,
	'tls=on', "tls_ca=$dir/other.crt");
fails('wrong name', 8381, qr/hostname mismatch\n *-> .* is for redis\.example, .* set tls_name=/,
	@tls, 'tls_name=redis');
fails('expired', 8385, qr/has expired\n *-> have the certificate renewed/, @tls);
fails('no TLS there', 8380, qr/TLS\ handshake\ failed:\ no\ answer\ in\ 3s\n
	\ *->\ the\ server\ speaks\ no\ TLS\ on\ this\ port/x, @tls);
fails('TLS there', 8381, qr/\n *-> the server speaks TLS on this port: set tls=on/);

# A server that does not like the certificate may be gone before it was heard.

my $ended = qr/the server has (?:ended TLS: .*(?:certificate|unknown ca).*|closed .*)/;

fails('no certificate', 8383, qr/: $ended\n *-> does the server want .* set tls_cert=/,
	@tls);
fails('a certificate of another CA', 8383,
	qr/: $ended\n *-> does the server accept the certificate of tls_cert=/,
	@tls, "tls_cert=$dir/stranger.crt", "tls_key=$dir/stranger.key");
fails('no file', 8381, qr/unfit file "\Q$dir\E\/no\.crt" of parameter "tls_ca"/,
	'tls=on', "tls_ca=$dir/no.crt");
fails('no TLS at Memcached', 8389, qr/\n *-> the server speaks no TLS/,
	'type=memcached', @tls);

###############################################################################

# The port of TLS is the next one.

sub redis {
	my ($t, $port, $certificate, $clients) = @_;

	my $path = $t->testdir() . "/$certificate";

	return SSLSessionCache::Redis->new($t, port => $port, args => [
		'--tls-port', port($port + 1),
		'--tls-cert-file', "$path.crt",
		'--tls-key-file', "$path.key",
		'--tls-ca-cert-file', $t->testdir() . '/ca.crt',
		'--tls-auth-clients', $clients ]);
}

sub check {
	my ($port, @words) = @_;

	return tool('check', 'port=' . port($port), @words);
}

sub fails {
	my ($name, $port, $expected, @words) = @_;

	my $r = check($port, @words);

	is($r->{status}, 1, "$name, failed");
	like($r->{out}, qr/^  failure  .*$expected/m, "$name, told") or diag($r->{out});
}

###############################################################################
