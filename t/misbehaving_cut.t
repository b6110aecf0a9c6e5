#!/usr/bin/perl

# A reply may come in any two parts, and the connection may end behind any byte
# of it.  A reply in parts is a reply like any other; one that is not whole is
# none, and costs its own handshake the resumption and nobody else anything.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

my $version = 'TLSv1.2';

single($t, store => $store, cache => 'type=%%STORE%% interval=10ms timeout=2s');
$t->plan(6);

###############################################################################

my ($session) = $store->made($version, 1);
my $id = session_id($session);
my $length = length $store->reply($id);
my $accepted = $store->calls('accept');

is(resumed_with('cut', 1 .. $length - 1), $length - 1, 'in two parts');
is($store->calls('accept'), $accepted, 'same connection');

foreach my $fault ('close', 'reset') {
	is(resumed_with($fault, 0 .. $length - 1), 0,
		"$fault behind each byte, not resumed");
}

is($store->calls('accept'), $accepted + 2 * $length, 'a new connection each');
is($store->calls('delete'), 0, 'nothing was deleted');

###############################################################################

# How many of the handshakes that meet the fault at these positions are
# resumed; each must be followed by one that is.

sub resumed_with {
	my ($fault, @positions) = @_;

	my $count = 0;

	foreach my $position (@positions) {
		$store->fault('get', $fault, $position);

		my $r = offer();
		die "handshake failed: $r->{error}\n" if defined $r->{error};
		$count += $r->{reused};

		wait_until(sub { offer()->{reused} })
			or die "not resumed after $fault $position\n";
	}

	return $count;
}

sub offer {
	return tls_get(8443, version => $version, session => $session);
}

###############################################################################
