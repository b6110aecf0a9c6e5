#!/usr/bin/perl

# Many workers of many machines begin at once with an empty store: they end on one
# seed.  Otherwise a part of the fleet does not open what the other part gives.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Clock;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $clock = SSLSessionCache::Clock->new($t, 'all');

my @options = (
	main => 'worker_processes 4;' . $clock->directives(),
	cache => 'type=%%STORE%% key=cache.key timeout=10s',
	http => 'remote_ssl_session_tickets on;',
	body => '$pid $ssl_session_reused',
);

certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $store = store($t)->freeze();

$clock->run(sub { single($t, store => $store, @options) });
$t->plan(5);

###############################################################################

# Whoever begins has its question waiting until all do

my @others = map {
	my $port = 8443 + $_;
	$clock->run(sub { SSLSessionCache::Nginx->new($t, "other$_",
		config(@options, port => $port)) });
} 1 .. 4;

is(tls_get(8447)->{reused}, 0, 'handshakes do not wait');

$store->thaw();

ok(wait_until(sub { resumes_all() == 25 }, 20), 'each machine opens what each gives');
is($store->count(), 1, 'one seed');

my %workers;
$workers{(split ' ', made($_)->{body})[0]} = 1 foreach map { (8443 .. 8447) } 1 .. 40;

cmp_ok(keys %workers, '>=', 5, 'by several workers');
is(resumes_all(), 25, 'and all of the time');

###############################################################################

sub made {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.3');
}

sub resumes_all {
	my @made = map { made($_)->{session} } 8443 .. 8447;

	return scalar grep { tls_get($_->[0], version => 'TLSv1.3', session => $_->[1])->{body}
		=~ / r$/ } map { my $port = $_; map { [ $port, $_ ] } @made } 8443 .. 8447;
}

###############################################################################
