#!/usr/bin/perl

# nginx exits at once by "stop" and gracefully by "quit", with the store's
# connection open and lookups waiting, and leaves no worker behind and no alert
# in the log.  A handshake that goes on meanwhile still has the store: without it
# each reload costs the resumptions of those clients.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my ($store, $other) = pair($t,
	cache => 'type=%%STORE%%',
	main => 'worker_processes 2;',
	server => 'keepalive_timeout 60s;',
);
$t->plan(31);

###############################################################################

my @sessions = map { full()->{session} } 1 .. 8;

# idle

exits('QUIT', 'quit, idle');

restart();
exits('TERM', 'stop, idle');

# an open connection

restart();
my @open = map { keepalive() } 1 .. 8;
exits('QUIT', 'quit, open connections');

restart();
@open = map { keepalive() } 1 .. 8;
exits('TERM', 'stop, open connections');

# a request that goes on: its worker needs no store any more

restart();
my $client = tls_hello(8444)->handshake();
$client->write("GET / HTTP/1.0\r\nX-Part: ");
my @workers = $other->workers();
$other->signal('QUIT');

ok(wait_until(sub { $store->clients() == 2 }), 'quit, store is left');
ok(grep({ kill 0, $_ } @workers), 'quit, a worker stays for its request');
is($client->get('/')->{body}, '.', 'quit, the request is answered');
exits('QUIT', 'quit, a request goes on', @workers);

# handshakes that go on, and one that has not begun: their worker still needs it

restart();
my @clients = map { tls_hello(8444, version => $_) } 'TLSv1.2', 'TLSv1.3';
my $silent = IO::Socket::INET->new('127.0.0.1:' . port(8444));
ok($_->answered(5), 'quit, a handshake goes on') foreach @clients;
@workers = $other->workers();
$other->signal('QUIT');
select undef, undef, undef, 0.7;

foreach (@clients) {
	my $session = $_->get('/')->{session};
	ok($store->wait_id(session_id($session)), 'quit, its session is stored');
}

my $late = tls_hello(8444, version => 'TLSv1.2', session => $sessions[0],
	socket => $silent);
is($late->get('/')->{body}, 'r', 'quit, a late handshake resumes');
exits('QUIT', 'quit, handshakes go on', @workers);

# lookups that wait

restart();
my @waiting = wait_for_store();
exits('TERM', 'stop, lookups wait');
$store->thaw();

restart();
@waiting = wait_for_store();
@workers = $other->workers();
$other->signal('QUIT');
select undef, undef, undef, 0.1;
my @got = map { my $c = $_; eval { $c->get('/') } // {} } @waiting;

is(grep({ defined $_->{body} } @got), 8, 'quit, lookups end by timeout');
exits('QUIT', 'quit, lookups wait', @workers);
$store->thaw();

# the store is away

restart();
$store->crash();
exits('QUIT', 'quit, store is away');

$other->start();
exits('TERM', 'stop, store is away');

$store->start();
restart();

$store->freeze();
$other->signal('HUP');
exits('QUIT', 'quit after a reload, store hangs');
$store->thaw();

###############################################################################

# Of these workers, where they have been told to exit already.

sub exits {
	my ($signal, $name, @workers) = @_;

	@workers = $other->workers() unless @workers;

	ok($other->end($signal), "$name, exits");
	is(wait_until(sub { !grep { kill 0, $_ } @workers }), 1,
		"$name, no worker left");
}

# Again, with the workers of both connected.

sub restart {
	wait_until(sub { $store->clients() == 2 });
	$other->start();
	wait_until(sub { $store->clients() == 4 })
		or die "workers are not connected\n";
}

sub full {
	my $r = tls_get(8444, version => 'TLSv1.2');
	$store->wait_id(session_id($r->{session}));

	return $r;
}

sub keepalive {
	my $client = tls_hello(8444)->handshake();

	$client->write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	$client->read();

	return $client;
}

sub wait_for_store {
	$store->freeze();

	my @clients = map { tls_hello(8444, version => 'TLSv1.2',
		session => $_) } @sessions;

	select undef, undef, undef, 0.1;
	die "lookups do not wait\n" if grep { $_->answered() } @clients;

	return @clients;
}

###############################################################################
