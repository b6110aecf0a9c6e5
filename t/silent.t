#!/usr/bin/perl

# A store that accepts and never answers costs the handshakes that it finds
# waiting one timeout, and those that follow nothing until it answers again.
# Otherwise every client would wait for as long as the silence lasts.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = single($t,
	cache => 'type=%%STORE%% interval=100ms timeout=2s',
	body => '$remote_ssl_session_cache_status',
);
$t->plan(7);

###############################################################################

my $r = full();
is(offer($r), 1, 'before');

$store->freeze();

my $start = time();
my @clients = map { tls_hello(8443, version => 'TLSv1.2',
	session => $r->{session}) } 1 .. 20;
my @got = map { my $c = $_; eval { $c->get('/') } // {} } @clients;
my $waited = time() - $start;

is(grep({ defined $_->{body} } @got), 20, 'none fails');
is(grep({ $_->{reused} } @got), 0, 'full handshakes');
cmp_ok(grep({ ($_->{body} // '') eq 'TIMEOUT' } @got), '>', 0,
	'the first ones wait');
cmp_ok($waited, '<', 8, 'all of them for one timeout');

# new connections are accepted by the kernel, and as silent

my @statuses;

while (time() - $start < 5 || @statuses < 20) {
	push @statuses, tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // 'failed';
}

is(grep({ $_ ne 'DOWN' } @statuses), 0, 'nobody waits then');

$store->thaw();
ok(wait_until(sub { offer($r) == 1 }), 'resumed when it answers');

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
