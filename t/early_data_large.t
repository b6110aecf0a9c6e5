#!/usr/bin/perl

# As much early data as nginx takes comes behind a ClientHello that waits for the
# store.  It is read where the session is claimed, and passed over where it is
# not.  Otherwise its client's handshake fails.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

# Of 16k, with the head of the request.
use constant BODY => 16000;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Link->new($t, delay => 0.05);

my ($store) = pair($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=5s',
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(7);

###############################################################################

ok(wait_until(sub { tls_get(8444, version => 'TLSv1.3',
	session => made())->{reused} }), 'links are up');

foreach my $case ([ 8443, 'LOCAL' ], [ 8444, 'HIT' ]) {
	my ($port, $expected) = @$case;
	my $session = made();

	is(offer_early($t, $port, $session, body => BODY),
		"reused accepted $expected CLAIMED", "$expected, accepted");
	like(offer_early($t, $_, $session, body => BODY),
		qr/^reused rejected (?:LOCAL|HIT) REPLAYED$/,
		"$expected, rejected on $_") foreach 8443, 8444;
}

###############################################################################

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
