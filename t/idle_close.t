#!/usr/bin/perl

# A store that closes idle connections costs the next handshake at most the
# moment that a new one takes.  Otherwise, with a long interval, each client of
# a quiet site that comes after the close finds the store down.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::Redis->new($t, idle_timeout => 1);

single($t,
	store => $redis,
	cache => 'interval=5s',
	body => '$remote_ssl_session_cache_status $remote_ssl_session_cache_time',
);
$t->plan(3);

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer() =~ /^HIT/ }), 'resumed before');

my (@statuses, @connected);

foreach (1 .. 4) {
	my ($id) = $redis->clients();

	wait_until(sub { !grep { $_ == $id } $redis->clients() }, 20);
	push @statuses, offer();
	push @connected, scalar $redis->clients();
}

is(grep({ /^HIT/ } @statuses), 4, 'resumed after each close')
	or diag("@statuses");
is("@connected", '1 1 1 1', 'connected anew each time');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // '';
}

###############################################################################
