#!/usr/bin/perl

# A store that answers, but too late, is not asked any more, and the log tells
# when that begins and when it ends.  Otherwise nobody knows why a store that is
# up resumes nothing.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

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

single($t,
	store => $store,
	cache => 'interval=300ms timeout=1s',
	body => '$remote_ssl_session_cache_status',
);
$t->plan(5);

###############################################################################

my ($session) = $store->made('TLSv1.2', 1);

is(offer(), 'HIT', 'in time');

# each lookup waits behind a session that takes long to store

my $stored = $store->calls('put');
my @late;

foreach (1 .. 3) {
	wait_until(sub { $store->calls('put') == $stored });
	$stored += 2;

	$store->fault('put', 'late', 0.7);
	$store->fault('get', 'late', 0.8);
	tls_get(8443, version => 'TLSv1.2');
	push @late, offer();
}

is(join(' ', @late), 'TIMEOUT TIMEOUT TIMEOUT', 'too late');
is(offer(), 'DOWN', 'not asked any more');

ok(wait_until(sub { offer() eq 'HIT' }), 'asked again');
is(join("\n", lines($t)), join("\n",
	'is up',
	'is down: it answers too late; '
		. 'no sessions are found there until it is up again',
	'is up'), 'told in the log');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2', session => $session)->{body}
		// '';
}

sub lines {
	my ($t) = @_;

	return $t->read_file('error.log')
		=~ /sslsessioncache: redis 127\.0\.0\.1:\d+ (.*)/g;
}

###############################################################################
