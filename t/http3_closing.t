#!/usr/bin/perl

# A handshake of HTTP/3 that waits for the store may come to its end meanwhile:
# the client leaves, connections are needed for others, nginx reads its
# configuration again or exits.  Nothing must be left to come back to it, and no
# worker may stay for it.

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
my ($redis, $other) = pair($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=60s',
	events => 'worker_connections 32;',
	quic => 8980,
);
$t->plan(10);

my $log = $t->testdir() . '/error.log';

###############################################################################

my $session = h3_made(8980, $redis);
ok(wait_until(sub { resumes(8980) && resumes(8981) }), 'links are up');

my $worker = worker($t);

my @clients = waiting(8980, 2);
$_->send($_->closing()) foreach @clients;
ok(wait_until(sub { !living() }), 'closed by clients');
is(answered(), 0, 'their lookups were cancelled');

@clients = waiting(8980, 40);
cmp_ok(living(), '<', 32, 'the oldest of too many are closed');
cmp_ok(answered(), '>', 0, 'others are answered');
is(worker($t), $worker, 'by the same worker');

@clients = waiting(8980, 2);
ok(reload($t, 1), 'a reload does not wait for them');
is(answered(), 0, 'their lookups went with the worker');

foreach my $signal (qw/ QUIT TERM /) {
	@clients = waiting(8981, 2);
	ok($other->end($signal), "$signal does not wait for them");

	$redis->thaw();
	$other->start();
	wait_until(sub { resumes(8981) });
}

###############################################################################

# So many clients that wait for the store, which is held still.

sub waiting {
	my ($port, $count) = @_;

	my $lookups = $link->lookups();
	my @clients = map { SSLSessionCache::QUICHello->new($port,
		session => $session) } 1 .. $count;

	$redis->freeze();

	foreach my $client (@clients) {
		$client->send($client->datagram());
		$link->wait_lookups(++$lookups);
	}

	return @clients;
}

# How many go on when the store does.  A lookup that begins then is answered
# after theirs.

sub answered {
	my $done = logged($log, 'lookup done');

	$redis->thaw();
	wait_until(sub { resumes(8980) }) or return 'nobody is served';

	return logged($log, 'lookup done') - $done - 1;
}

sub resumes {
	my ($port) = @_;

	return h3_get($port, session => $session)->{body} eq 'r';
}

sub living {
	return logged($log, 'quic connection created')
		- logged($log, 'quic close completed');
}

###############################################################################
