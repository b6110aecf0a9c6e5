#!/usr/bin/perl

# A Redis that is full or read-only, or holds something else under a session's
# name, refuses commands: sessions are not stored or not found, and that is all.
# What can be read is resumed, over the same connection.

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

my $store = single($t);
$t->plan(15);

###############################################################################

my $good = full();
my @clients = $store->clients();

refuses_to_store($t, 'full', 'OOM', sub {
	$store->command('CONFIG', 'SET', 'maxmemory', $_[0] ? 1 : 0) });
refuses_to_store($t, 'read-only', 'READONLY', sub {
	$store->command('REPLICAOF', $_[0] ? ('127.0.0.1', 1) : ('NO', 'ONE')) });

my $bad = full();
my $key = $store->key(session_id($bad->{session}));
$store->remove($key);
$store->command('RPUSH', $key, 'list');

is(offer($bad), 0, 'not a string, full handshake');
is(offer($good), 1, 'not a string, another session is resumed');
ok(wait_until(sub { offer($bad);
	$t->read_file('error.log') =~ /refuses commands, .*: WRONGTYPE/ }),
	'not a string, told in the log');

is(join(' ', $store->clients()), join(' ', @clients), 'same connection');
is(offer(full()), 1, 'resumed in the end');

###############################################################################

sub refuses_to_store {
	my ($t, $name, $error, $switch) = @_;

	$switch->(1);
	my $count = $store->count();
	my $r = tls_get(8443, version => 'TLSv1.2');

	is($r->{body}, '.', "$name, full handshake");
	ok(wait_until(sub { tls_get(8443, version => 'TLSv1.2');
		$t->read_file('error.log') =~ /refuses commands, .*: $error/ }),
		"$name, told in the log");
	is($store->count(), $count, "$name, not stored");
	is(offer($good), 1, "$name, what it has is resumed");
	$switch->(0);

	is(offer(full()), 1, "$name, resumed after it");
}

###############################################################################

sub full {
	my $r = tls_get(8443, version => 'TLSv1.2');
	$store->wait_id(session_id($r->{session}));

	return $r;
}

# -1 of a handshake that failed.

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused} // -1;
}

###############################################################################
