#!/usr/bin/perl

# A claim lies in the store for as long as the session that it is on may live, and
# two minutes more, for clocks that differ.  A machine whose claim on a session
# would end before that does accepts no early data of it: it could be replayed
# afterwards.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# seconds

my %timeouts = (8443 => 300, 8444 => 600, 8445 => 3600);

my %options = (
	cache => 'type=%%STORE%% timeout=5s',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);

my $store = single($t, %options, server => lives(8443));
SSLSessionCache::Nginx->new($t, "nginx$_", config(%options, port => $_,
	server => lives($_))) foreach 8444, 8445;
$t->plan(11);

###############################################################################

foreach my $port (8443 .. 8445) {
	my $session = made($port);

	is(offer_early($t, $port, $session), 'reused accepted HIT CLAIMED',
		"$timeouts{$port}, accepted");

	my $expected = $timeouts{$port} + 120;
	my $ttl = $store->ttl(claim($session));
	ok($ttl > $expected - 10 && $ttl <= $expected + 1,
		"$timeouts{$port}, the claim's time") or diag("TTL is $ttl");
}

# of another machine's sessions

is(offer_early($t, 8444, made(8443)), 'reused accepted HIT CLAIMED',
	'shorter than here');

my $session = made(8445);

is(offer_early($t, 8444, $session), 'reused rejected HIT UNCLAIMED',
	'longer than here');
ok(wait_until(sub { !$store->has_key(claim($session)) }), 'given back');
is(offer_early($t, 8445, $session), 'reused accepted HIT CLAIMED',
	'accepted where it was made');
is(offer_early($t, 8444, $session), 'reused rejected HIT REPLAYED',
	'and not again');

###############################################################################

sub lives {
	my ($port) = @_;

	return "ssl_session_timeout $timeouts{$port}s; ssl_early_data on;";
}

sub claim {
	my ($session) = @_;

	return claim_key($store->key(session_id($session)));
}

sub made {
	my ($port) = @_;

	my $session = tls_get($port, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
