#!/usr/bin/perl

# A reply that has come while a worker stood still, as with its machine, is used
# when the worker goes on.  Otherwise all lookups under way would time out, and
# a store that is well would pass for one that is not.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t,
	cache => 'timeout=500ms',
	body => '$remote_ssl_session_cache_status $remote_ssl_session_cache_time',
);
$t->plan(21);

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer()->get('/')->{body} =~ /^HIT/ }), 'resumed before');

my $worker = worker($t);

foreach my $round (1 .. 10) {
	$redis->freeze();
	my $client = offer();
	ok(!$client->answered(0.1), "lookup waits, round $round");

	kill 'STOP', $worker;
	$redis->thaw();
	select undef, undef, undef, 0.8;
	kill 'CONT', $worker;

	like($client->get('/')->{body}, qr/^HIT/, "resumed, round $round");
}

###############################################################################

sub offer {
	return tls_hello(8443, version => 'TLSv1.2',
		session => $r->{session});
}

###############################################################################
