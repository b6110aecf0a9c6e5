#!/usr/bin/perl

# Clients of HTTP/3 may leave while their lookups wait for the store, with a word
# or, as UDP has no end of a connection, without one.  It must cost nothing: no
# crash when the reply comes, no connection that stays, and no memory.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;
use SSLSessionCache::Wait;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/));

my $link = SSLSessionCache::Link->new($t);
my $redis = single($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=20s',
	events => 'worker_connections 256;',
	server => 'client_header_timeout 3s;',
	quic => 8980,
);
$t->plan(6);

my $log = $t->testdir() . '/error.log';

###############################################################################

my $worker = worker($t);
my $session = h3_made(8980, $redis);

my $client = SSLSessionCache::QUICHello->new(8980, session => $session);

# those who are there together take more memory at first, up to 256 of them: the
# oldest go then

leave(20);
my ($calls, $done, $living);
my $growth = growth($worker, sub {
	$redis->forget_calls();
	$done = logged($log, 'offered session: HIT');
	$living = leave(20);
	$done = logged($log, 'offered session: HIT') - $done;
	$calls = $redis->calls('get');
});

is($calls, 1000, 'all lookups were answered');
cmp_ok($done, '<=', 500, 'who has left is not answered');
is($living, 0, 'no connection is left');
is($growth, 0, 'no growth of memory');

is(h3_get(8980, session => $session)->{body}, 'r', 'resumed after them');
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# Rounds of fifty, half of whom say that they leave, while the store is held
# still; how many connections are there in the end.

sub leave {
	my ($rounds) = @_;

	foreach (1 .. $rounds) {
		my $calls = $redis->calls('get');

		$redis->freeze();
		hello(50);
		$redis->thaw();
		$redis->wait_calls('get', $calls + 50);
	}

	my $living;
	wait_until(sub { !($living = living()) });

	return $living;
}

# The last one comes after those who leave: when it waits, nginx knows of these.

sub hello {
	my ($count) = @_;

	my $lookups = $link->lookups();
	my @ends;

	foreach (1 .. $count) {
		if ($_ == $count) {
			$link->wait_lookups($lookups + $count - 1);
			$client->send(@ends);
		}

		$client->renew();
		$client->send($client->datagram());
		push @ends, $client->closing() if $_ % 2;
	}

	$link->wait_lookups($lookups + $count);
}

sub living {
	return logged($log, 'quic connection created')
		- logged($log, 'quic close completed');
}

###############################################################################
