#!/usr/bin/perl

# The link to the store breaks in the middle of replies while many lookups wait:
# those are full handshakes, none fails, and resumption is back with the link.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $link = SSLSessionCache::Link->new($t);

my $store = single($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% interval=20ms');
$t->plan(3);

###############################################################################

my @made;
wait_until(sub { @made = map { full() } 1 .. 20; $store->count() >= 20 });

my (@got, @lasting);

foreach my $round (1 .. 20) {
	$link->fault('cut');
	my @clients = map { tls_hello(8443, version => 'TLSv1.2',
		session => $_->{session}) } @made;
	push @got, map { my $c = $_; eval { $c->get('/') } // {} } @clients;
	$link->fault('none');

	push @lasting, $round unless wait_until(sub { offer($made[0]) == 1 });
}

is(grep({ defined $_->{body} } @got), 400, 'none fails');
cmp_ok(grep({ !$_->{reused} } @got), '>', 0, 'lookups were cut');
is("@lasting", '', 'resumed after each');

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
