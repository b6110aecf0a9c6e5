#!/usr/bin/perl

# Who offers a session with early data, cannot prove that it is his, and is gone
# while the claim on it is under way: the claim is given back once the store has
# granted it.  Otherwise he has the early data of its client refused.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Link->new($t, delay => 0.3);

my ($store) = pair($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=5s',
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(13);

###############################################################################

ok(wait_until(sub { tls_get(8444, version => 'TLSv1.3',
	session => made())->{reused} }), 'links are up');

foreach my $case ([ 8443, 'LOCAL' ], [ 8444, 'HIT' ]) {
	my ($port, $expected) = @$case;

	foreach my $end ('closes', 'resets') {
		my $session = made();
		my $key = claim_key($store->key(session_id($session)));
		my $socket = SSLSessionCache::Hello::connected($port);
		my $name = "$expected, $end";

		syswrite $socket, without_secret(early_flight($t, $session));
		ok(wait_until(sub { $store->has_key($key) }), "$name, claimed");
		$end eq 'resets' ? reset_connection($socket) : close $socket;
		ok(wait_until(sub { !$store->has_key($key) }), "$name, given back");
		is(offer_early($t, $port, $session), "reused accepted $expected CLAIMED",
			"$name, accepted afterwards");
	}
}

###############################################################################

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
