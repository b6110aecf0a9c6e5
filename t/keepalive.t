#!/usr/bin/perl

# The connection to the store is kept over idle times by probes, also where the
# store closes idle connections.  Otherwise the first client after a quiet minute
# would find it closed.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t, idle_timeout => 2);
my $link = SSLSessionCache::Link->new($t);

single($t,
	store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% interval=300ms',
);
$t->plan(5);

###############################################################################

my $client;
wait_until(sub { ($client) = $store->clients(); $client });

my $r = tls_get(8443, version => 'TLSv1.2');
ok($store->wait_id(session_id($r->{session})), 'stored');

my $before = $link->probes();
select undef, undef, undef, 4.5;

my $probes = $link->probes() - $before;
is(join(' ', $store->clients()), $client, 'same connection');
cmp_ok($probes, '>=', 5, 'probed while idle');
cmp_ok($probes, '<=', 15, 'not more often than told');

is(tls_get(8443, version => 'TLSv1.2', session => $r->{session})->{reused}, 1,
	'resumed after idleness');

###############################################################################
