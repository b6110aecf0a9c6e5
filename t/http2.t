#!/usr/bin/perl

# HTTP/2 over a resumed connection, all of whose requests tell how it went, and
# ALPN, which is negotiated anew each time.  Otherwise a browser that comes back
# falls to HTTP/1.1, or fails.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v2 rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my ($redis) = pair($t,
	server => 'http2 on;',
	body => '$http2 $ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(14);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my %client = (version => $version, alpn => [ 'h2', 'http/1.1' ]);

	my ($body, $session) = h2_get(8443, %client);
	ok($redis->wait_id(session_id($session)), "$version, stored");
	is($body, 'h2 . ' x 2, "$version, full handshake");

	($body) = h2_get(8444, %client, session => $session);
	is($body, 'h2 r HIT' x 2, "$version, resumed");

	my $r = tls_get(8444, %client, alpn => [ 'http/1.1' ],
		session => $session);
	is($r->{alpn}, 'http/1.1', "$version, other protocol");
	is($r->{body}, ' r HIT', "$version, other protocol, resumed");

	$r = tls_get(8444, version => $version, session => $session);
	is($r->{alpn}, undef, "$version, no protocol");
	is($r->{body}, ' r HIT', "$version, no protocol, resumed");
}

###############################################################################

# The bodies of the answers to two requests over one connection, and the session.

sub h2_get {
	my ($port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();

	# GET, /, https, :authority
	my $headers = "\x82\x84\x87\x41\x09localhost";

	$client->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, '')
		. frame(1, 5, 1, $headers));

	my ($received, $body, $ended) = ('', '', 0);

	while (length(my $part = $client->read())) {
		$received .= $part;

		while (length $received >= 9) {
			my ($high, $low, $type, $flags) =
				unpack 'CnCC', $received;
			my $length = $high * 65536 + $low;
			last if length $received < 9 + $length;

			my $payload = substr $received, 9, $length;
			substr($received, 0, 9 + $length) = '';
			next if $type != 0;

			$body .= $payload;
			next unless $flags & 1;
			return ($body, $client->session()) if $ended++;

			$client->write(frame(1, 5, 3, $headers));
		}
	}

	return ($body, $client->session());
}

sub frame {
	my ($type, $flags, $stream, $payload) = @_;

	return pack 'CnCCNa*', 0, length $payload, $type, $flags, $stream, $payload;
}

###############################################################################
