#!/usr/bin/perl

# A client that says all it has to say together with the end of its handshake, and
# closes its half of the connection, gets its answer, as it does of an nginx
# without a cache.  Otherwise resumptions lose what clients say.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);

stream_single($t, store => $store, cache => 'type=%%STORE%% timeout=10s',
	server => 'proxy_half_close on;');
$t->plan(10);

###############################################################################

my $count = 20;

# more than a buffer of nginx

Net::SSLeay::RAND_bytes(my $text, 30_000);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = stream_get(8443, version => $version, echo => 'made');
	$store->wait_id(session_id($r->{session}));

	# quick lookups, and one that is waited for

	my @got = map { stream_get(8443, version => $version, echo => $text,
		session => $r->{session}, at_once => 1, ends => 1) } 1 .. $count;

	is(grep({ $_->{reused} } @got), $count, "$version, resumed");
	is(grep({ $_->{body} eq $text } @got), $count, "$version, answered");

	$store->freeze();
	my $waiting = tls_hello(8443, version => $version,
		session => $r->{session});
	ok(!$waiting->answered(0.2), "$version, waits");
	$store->thaw();
	my $got = stream_talk($waiting, echo => $text, at_once => 1, ends => 1);

	is($got->{reused}, 1, "$version, resumed after waiting");
	is($got->{body}, $text, "$version, answered after waiting");
}

###############################################################################
