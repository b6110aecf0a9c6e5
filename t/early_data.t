#!/usr/bin/perl

# 0-RTT with a session from another machine: the lookup is suspended in the
# middle of SSL_read_early_data().  Otherwise the early data would be lost, or
# the handshake with it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Link->new($t, delay => 0.02);

my ($redis) = pair($t,
	cache => 'port=%%PORT_8378%%',
	server => 'ssl_early_data on;',
	body => '$ssl_session_reused early:$ssl_early_data',
);
$t->plan(12);

$t->write_file('request', "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");

###############################################################################

ok(wait_until(\&resumed), 'links are up');

foreach my $port (8443, 8444) {
	my $r = tls_get(8443, version => 'TLSv1.3');
	my $name = $port == 8443 ? 'where it was made' : 'elsewhere';

	ok($redis->wait_id(session_id($r->{session})), "$name, stored");

	my $output = early_data($t, $port, $r, '-ign_eof');

	like($output, qr/^Reused, TLSv1\.3/m, "$name, reused");
	like($output, qr/^Early data was accepted/m, "$name, accepted");

	# a quick client may end the handshake before its request is read

	ok(wait_until(sub { early_data($t, $port, $r, '-ign_eof')
		=~ /^r early:1/m }), "$name, answered early");
}

# a session that nobody knows any more

my $r = tls_get(8443, version => 'TLSv1.3');
$redis->wait_id(session_id($r->{session}));
$redis->clear();

my $output = early_data($t, 8444, $r);

like($output, qr/^New, TLSv1\.3/m, 'unknown, new');
like($output, qr/^Early data was rejected/m, 'unknown, rejected');
is(tls_get(8444, version => 'TLSv1.3')->{body}, '. early:',
	'handshake without early data');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.3');

	return tls_get(8444, version => 'TLSv1.3',
		session => $r->{session})->{reused};
}

sub early_data {
	my ($t, $port, $r, @options) = @_;

	my $dir = $t->testdir();
	my $session = write_session($t, 'session', $r->{session});
	my $command = "timeout 10 openssl s_client -tls1_3 @options "
		. "-servername localhost -sess_in $session "
		. "-early_data $dir/request -connect 127.0.0.1:" . port($port);

	return scalar `echo | $command 2>&1`;
}

###############################################################################
