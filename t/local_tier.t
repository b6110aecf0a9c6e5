#!/usr/bin/perl

# nginx's own shared cache stays in front of the store: what it holds costs no
# question to the store, and is resumed while the store is away.  Without it
# every resumption pays for a round trip.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = pair($t,
	cache => 'type=%%STORE%%',
	main => 'worker_processes 2;',
	http => 'ssl_session_cache shared:local:1m;',
);
$t->plan(18);

###############################################################################

my %kept;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	$store->forget_calls();

	my $r = tls_get(8443, version => $version);
	ok($store->wait_id(session_id($r->{session})), "$version, stored");

	is(offer(8443, $r), 1, "$version, resumed where it was made");
	is($store->calls('get'), 0, "$version, no lookup");

	is(offer(8444, $r), 1, "$version, resumed elsewhere");
	is($store->calls('get'), 1, "$version, one lookup");

	is(offer(8444, $r), 1, "$version, resumed elsewhere again");
	is($store->calls('get'), 1, "$version, no other lookup");

	$kept{$version} = $r;
}

$store->stop();

foreach my $version (sort keys %kept) {
	is(offer(8443, $kept{$version}), 1, "$version, resumed without a store");
	is(offer(8444, $kept{$version}), 1,
		"$version, resumed elsewhere without a store");
}

###############################################################################

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused};
}

###############################################################################
