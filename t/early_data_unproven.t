#!/usr/bin/perl

# Who has seen a session's id on the wire can offer it with early data, and cannot
# prove that the session is his: his handshake fails as on any nginx, and the
# claim is given back.  Otherwise he takes early data from whom he likes, and
# fills the store with claims.

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

my @options = (
	cache => 'type=%%STORE%% timeout=5s',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);

my ($store) = pair($t, @options,
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;');
SSLSessionCache::Nginx->new($t, 'plain', config(@options, port => 8445,
	server => 'remote_ssl_session_cache off;
		ssl_session_cache shared:SSL:1m; ssl_early_data on;'));
$t->plan(13);

###############################################################################

my $plain = answer_to(8445, stolen($t, tls_get(8445, version => 'TLSv1.3')->{session}));

like($plain, qr/^\x15\x03\x03\x00\x02\x02./s, 'an alert of any nginx');

foreach my $case ([ 8443, 'LOCAL' ], [ 8444, 'HIT' ]) {
	my ($port, $expected) = @$case;

	my $session = made();
	my $flight = stolen($t, $session);

	is(answer_to($port, $flight), $plain, "$expected, the same alert");
	ok(wait_until(sub { !claimed($session) }), "$expected, claim given back");
	is(answer_to($port, $flight), $plain, "$expected, again");
	ok(wait_until(sub { !claimed($session) }), "$expected, given back again");
	is(offer_early($t, $port, $session), "reused accepted $expected CLAIMED",
		"$expected, accepted from its client");
}

# ids that nobody has

$store->clear();

my $session = made();
my $flight = early_flight($t, $session);
my $id = session_id($session);

foreach my $port ((8443, 8444) x 10) {
	my $random = join '', map { chr rand 256 } 1 .. length $id;
	answer_to($port, $flight =~ s/\Q$id\E/$random/r, 0.05);
}

is(tls_get(8444, version => 'TLSv1.3', session => $session)->{reused}, 1,
	'resumed without early data');
ok(wait_until(sub { !grep { /\+$/ } $store->keys() }),
	'no claims on what is not there');

###############################################################################

sub stolen {
	my ($t, $session) = @_;

	return without_secret(early_flight($t, $session));
}

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

sub claimed {
	my ($session) = @_;

	return $store->has_key(claim_key($store->key(session_id($session))));
}

###############################################################################
