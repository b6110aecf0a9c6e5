#!/usr/bin/perl

# Connections of stream{} live for hours, and keep a worker of before a reload for
# as long: it goes on serving them, also those whose handshake has not ended or not
# begun, needs no store any more when all have, and exits with the last.  Otherwise
# each reload adds connections to the store, or costs clients.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);

stream_single($t, store => $store, cache => 'type=%%STORE%% timeout=10s');
$t->plan(20);

###############################################################################

my @versions = ('TLSv1.2', 'TLSv1.3');

foreach my $version (@versions) {
	my $old = worker($t);
	my $r = stream_get(8443, version => $version, echo => 'made');
	my %client = (version => $version, session => $r->{session});

	$store->wait_id(session_id($r->{session}));

	my $open = tls_hello(8443, %client);
	is(stream_talk($open, echo => 'before')->{reused}, 1, "$version, resumed before");

	# one that waits, and one that has said nothing

	my $silent = IO::Socket::INET->new('127.0.0.1:' . port(8443));
	$store->freeze();
	my $waiting = tls_hello(8443, %client);
	ok(!$waiting->answered(0.2), "$version, waits");

	$t->reload();
	ok(wait_until(sub { workers(master($t)) == 2 }), "$version, a new worker");
	$store->thaw();

	foreach my $client ($waiting, tls_hello(8443, %client, socket => $silent)) {
		my $got = stream_talk($client, echo => 'x' x 100_000, at_once => 1);

		is("$got->{reused} " . length $got->{body}, '1 100000',
			"$version, resumed during a reload");
	}

	# an old one that only passes bytes on

	ok(wait_until(sub { $store->clients() == 1 }), "$version, leaves the store");
	is(stream_talk($open, echo => 'after')->{body}, 'after',
		"$version, still served");
	ok(scalar(grep { $_ == $old } workers(master($t))), "$version, by the old worker");

	is(stream_get(8443, %client, echo => 'new')->{reused}, 1,
		"$version, resumed by the new worker");

	undef $_ foreach $open, $waiting, $silent;
	ok(wait_until(sub { !grep { $_ == $old } workers(master($t)) }),
		"$version, the old worker exits");
}

###############################################################################
