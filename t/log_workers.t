#!/usr/bin/perl

# Four workers that lose their store write one line, and one when the last of
# them has it again; a worker that is killed in between leaves nothing behind.
# Otherwise an outage of a large machine is a page of the same line, and the one
# line that differs is not seen.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Status;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = single($t,
	cache => 'interval=20ms timeout=500ms',
	main => 'worker_processes 4;',
	http => 'server { listen 127.0.0.1:8080;'
		. ' location /status { remote_ssl_session_cache_status; } }',
);
$t->plan(11);
$t->todo_alerts();

###############################################################################

ok(wait_until(sub { workers('up') == 4 }), 'four workers');
is(lines($t, 'is up'), 1, 'up at the start');

$store->stop();
ok(wait_until(sub { workers('down') == 4 }), 'down, all');
is(lines($t, 'is down'), 1, 'down');

$store->start();
ok(wait_until(sub { workers('up') == 4 }), 'up, all');
is(lines($t, 'is up'), 2, 'up again');

# the same server is told of once in a second

select undef, undef, undef, 1.1;

# a worker that is killed while the store is away is replaced by one that has
# told nothing

$store->stop();
wait_until(sub { lines($t, 'is down') == 2 && workers('down') == 4 });
my ($pid) = map { $_->{pid} } @{ workers_of() };
kill 'KILL', $pid;
wait_until(sub { !grep { $_->{pid} == $pid } @{ workers_of() } });
$store->start();
ok(wait_until(sub { workers('up') == 4 }), 'killed, up again');
is(lines($t, 'is down'), 2, 'killed, down');
is(lines($t, 'is up'), 3, 'killed, up');

# after a reload the new workers tell what they find

select undef, undef, undef, 1.1;

$store->stop();
wait_until(sub { lines($t, 'is down') == 3 && workers('down') == 4 });
$t->reload();
ok(wait_until(sub { lines($t, 'is down') >= 4 }), 'reloaded, down is told anew');
select undef, undef, undef, 0.3;
is(lines($t, 'is down'), 4, 'reloaded, once');

###############################################################################

sub workers {
	my ($state) = @_;

	return scalar grep { $state eq 'up'
		? $_->{state} eq 'up' : $_->{state} ne 'up' && $_->{reason} }
		@{ workers_of() };
}

sub workers_of {
	return status()->{stores}[0]{workers};
}

sub lines {
	my ($t, $what) = @_;

	return scalar(() = $t->read_file('error.log')
		=~ /: redis \S+ $what\b/g);
}

###############################################################################
