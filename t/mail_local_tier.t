#!/usr/bin/perl

# With a zone of nginx's own beside the cache, a session that a machine has is
# resumed in mail{} without asking the store, also where the store is gone.
# Otherwise a client that comes back to where it was waits for nothing.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = mail_pair($t,
	cache => 'type=%%STORE%%',
	mail => 'ssl_session_cache shared:SSL:1m;',
);
$t->plan(24);

###############################################################################

my @offers;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $port (8993, 8143) {
		my $name = "$version, port $port";
		my $session = mail_get($port, version => $version)->{session};

		$store->wait_id(session_id($session));
		$store->forget_calls();

		my $offer = sub {
			my ($to) = @_;
			return mail_get($to, version => $version,
				session => $session)->{reused};
		};

		is($offer->($port), 1, "$name, resumed where it was made");
		is($store->calls('get'), 0, "$name, the store is not asked");

		is($offer->($port + 1), 1, "$name, resumed on another machine");
		is($store->calls('get'), 1, "$name, the store is asked");

		push @offers, [ $name, $port, $offer ];
	}
}

# What was found in the store is kept as well

$store->crash();

foreach (@offers) {
	my ($name, $port, $offer) = @$_;

	is($offer->($port), 1, "$name, without the store, where it was made");
	is($offer->($port + 1), 1, "$name, without the store, where it was found");
}

###############################################################################
