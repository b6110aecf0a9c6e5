#!/usr/bin/perl

# An error that a store answers a command with concerns that command alone: the
# connection stays, and so do the lookups behind it.  Only an error that says
# that the client may do nothing at all, or behind which a store has lost its
# place, is about the connection.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

my $version = 'TLSv1.2';

my @errors = store_type() eq 'redis'
	? ('-OOM command not allowed', '-READONLY replica', '-WRONGTYPE key',
		'-LOADING dataset', '-BUSY script', '-MOVED 1 127.0.0.1:1',
		'-NOPERM no permissions', '-ERR unknown')
	: ('SERVER_ERROR out of memory', 'CLIENT_ERROR bad command', 'ERROR');
my @fatal = store_type() eq 'redis'
	? ('-NOAUTH Authentication required.', '-ERR operation not permitted')
	: ('CLIENT_ERROR unauthenticated');
my @refused = store_type() eq 'redis' ? @errors
	: ('SERVER_ERROR object too large for cache', 'NOT_STORED');

single($t, store => $store, cache => 'type=%%STORE%% interval=10ms timeout=1s');
$t->plan(4 * @errors + 2 * @refused + 3 * @fatal + 1);

###############################################################################

my @sessions = $store->made($version, 5);
my $accepted = $store->calls('accept');

foreach my $error (@errors) {
	$store->fault('get', 'instead', "$error\r\n");

	my @got = together();

	is(grep({ defined $_->{body} } @got), 5, "$error, none fails");
	is(grep({ $_->{reused} } @got), 4, "$error, the others are resumed");
	is(grep({ $_->{reused} } together()), 5, "$error, all are resumed then");
	is($store->calls('accept'), $accepted, "$error, same connection");
}

foreach my $error (@refused) {
	$store->fault('put', 'instead', "$error\r\n");

	ok(defined tls_get(8443, version => $version)->{body},
		"$error to a session, full handshake");
	wait_until(sub { grep({ $_->{reused} } together()) == 5 });
	is($store->calls('accept'), $accepted,
		"$error to a session, same connection");
}

foreach my $error (@fatal) {
	$store->fault('get', 'instead', "$error\r\n");

	is(grep({ defined $_->{body} } together()), 5, "$error, none fails");
	ok(wait_until(sub { grep({ $_->{reused} } together()) == 5 }),
		"$error, resumed then");
	is($store->calls('accept'), ++$accepted, "$error, another connection");
}

is($store->calls('delete'), 0, 'nothing was deleted');

###############################################################################

# A lookup of each session at the same time.

sub together {
	my @clients = map { tls_hello(8443, version => $version, session => $_) }
		@sessions;

	return map { my $c = $_; eval { $c->get('/') } // {} } @clients;
}

###############################################################################
