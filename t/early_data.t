#!/usr/bin/perl

# Early data of a session is accepted where it was made and on another machine:
# the lookup and the claim are waited for in the middle of SSL_read_early_data().
# It saves its round trip: the answer comes before the client has said more than
# that.  Otherwise the early data would be lost, or the handshake with it.

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

# Longer than what the server says without an answer.
use constant LARGE => 4000;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Link->new($t, delay => 0.02);

my ($store) = pair($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=5s',
	server => 'ssl_early_data on;
		location /large { return 200 "' . 'x' x LARGE . '"; }',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(14);

###############################################################################

ok(wait_until(\&resumed), 'links are up');

foreach my $port (8443, 8444) {
	my $name = $port == 8443 ? 'where it was made' : 'elsewhere';
	my $session = made();

	is(offer_early($t, $port, $session), 'reused accepted HIT CLAIMED',
		"$name, accepted");
	is(offer_early($t, $port, $session), 'reused rejected HIT REPLAYED',
		"$name, not again");

	# what the client has sent first is all that is needed, once

	my $flight = early_flight($t, made(), '/large');
	cmp_ok(length answer_to($port, $flight), '>', LARGE,
		"$name, answered early");
	cmp_ok(length answer_to($port, $flight), '<', LARGE,
		"$name, replayed, not answered");
}

# a replay on the other machine

my $flight = early_flight($t, made(), '/large');
cmp_ok(length answer_to(8443, $flight), '>', LARGE, 'answered by one');
cmp_ok(length answer_to(8444, $flight), '<', LARGE, 'not by the other');

# a session that nobody knows any more

my $session = made();
$store->clear();

is(offer_early($t, 8444, $session), 'full rejected MISS', 'unknown, rejected');
ok(wait_until(sub { !grep { /\+$/ } $store->keys() }),
	'unknown, nothing is claimed');
is(tls_get(8444, version => 'TLSv1.3')->{body}, '< >',
	'handshake without early data');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.3');

	return tls_get(8444, version => 'TLSv1.3',
		session => $r->{session})->{reused};
}

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
