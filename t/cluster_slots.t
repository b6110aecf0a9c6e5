#!/usr/bin/perl

# While slots of a Redis Cluster move from node to node, and when nodes come and
# go, sessions are found where they are, and stored where they belong.  Otherwise
# a fleet loses its sessions when its cluster grows, which is when it has most.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use List::Util qw/ max /;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Cluster;
use SSLSessionCache::Load;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

use constant SLOTS => 1500;

# Seconds: the timeout, which is for nodes that are busy with their slots, and what a
# machine may be late by.
use constant LONGEST => 2 + 0.4;

###############################################################################

my $t = Test::Nginx->new();

my $cluster = SSLSessionCache::RedisCluster->new($t, replicas => 0);

pair($t,
	store => $cluster,
	cache => 'store=fleet',
	listen => 'reuseport',
	main => <<'EOM',
worker_processes 2;

remote_ssl_session_store fleet {
    type    redis;
    cluster on;
    server  127.0.0.1:8372;
    timeout 2s;
}
EOM
);
$t->plan(15);

###############################################################################

my ($from, $to, $third) = $cluster->masters();
my @sessions = sessions(150);
my $load = SSLSessionCache::Load->new($t);

# half of the keys are there, and half of them here

my $move = $cluster->begin_move($from, $to, SLOTS);
is(resumed(@sessions), @sessions, 'resumed before the first key moves');

my @keys = $cluster->keys_to_move($move);
cmp_ok(@keys, '>', 3, 'keys to move');
$cluster->move_keys($move, @keys / 2);

is(resumed(@sessions), @sessions, 'resumed while half is moved');

my @meanwhile = grep { slot($_) < SLOTS } sessions(100);
cmp_ok(@meanwhile, '>', 0, 'stored while half is moved');
is(resumed(@meanwhile), @meanwhile, 'resumed');

$cluster->end_move($move);
push @sessions, @meanwhile;

is(resumed(@sessions), @sessions, 'resumed when all is moved');
is($cluster->size($from), 5461 - SLOTS, 'slots have moved');

# a node more, and one less, which is named in the configuration

my $new = $cluster->add_node();

$cluster->move_slots($third, $new, SLOTS);
ok(all_resumed(@sessions), 'resumed with a node more');

push @sessions, sessions(60);
cmp_ok($new->count(), '>', 0, 'sessions at the new node');

ok($cluster->remove_node($to), 'a node is taken away');
ok(all_resumed(@sessions), 'resumed with a node less');

# all the time

my @results = $load->results();
my @offered = grep { !$_->{made} } @results;

is(join("\n", map { $_->{error} // () } @results), '', 'no handshake fails');
cmp_ok(max(map { $_->{seconds} // 0 } @results), '<', LONGEST,
	'none waits longer');
cmp_ok(grep({ $_->{reused} } @offered), '>=', max(20, 0.99 * @offered),
	'resumed all the time');

# the node that is one of them no more

$to->stop();
ok(all_resumed(@sessions), 'resumed when it is stopped');

###############################################################################

# All are, as soon as nginx has been told a map that is not from before.

sub all_resumed {
	my (@sessions) = @_;

	return wait_until(sub { resumed(@sessions) == @sessions }, 3);
}

# Sessions that are stored.

sub sessions {
	my ($count) = @_;

	my @made = map { tls_get(8443, version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3') }
		1 .. $count;

	$cluster->wait_id(session_id($_->{session})) foreach @made;

	return @made;
}

sub slot {
	my ($r) = @_;

	return slot_of($cluster->key(session_id($r->{session})));
}

sub resumed {
	my (@sessions) = @_;

	return scalar grep { tls_get(8444, version => $_->{version},
		session => $_->{session})->{reused} } @sessions;
}

###############################################################################
