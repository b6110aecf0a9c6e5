#!/usr/bin/perl

# Of several servers one dies: its part of the sessions goes to another, no
# handshake waits longer than it may, and the sessions of the others are resumed
# as before; when it is back, what was stored meanwhile is still resumed.
# Otherwise one server of three takes all handshakes down, or moves the sessions
# of all.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use List::Util qw/ max /;
use Test::More;
use Time::HiRes qw/ sleep time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Load;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

# Seconds: the timeout, and what a machine may be late by.
use constant LONGEST => 0.3 + 0.4;

###############################################################################

my $t = Test::Nginx->new();

my @stores = map { store($t, port => $_) } 8371 .. 8373;
my ($store, @healthy) = @stores;

pair($t,
	store => $store,
	cache => 'store=fleet',
	listen => 'reuseport',
	main => <<'EOM',
worker_processes 2;

remote_ssl_session_store fleet {
    type    %%STORE%%;
    server  127.0.0.1:8371;
    server  127.0.0.1:8372;
    server  127.0.0.1:8373;
    timeout 300ms;
}
EOM
);
$t->plan(14);

###############################################################################

my @before = sessions(60);
my @others = grep { !$store->has_key(name($_)) } @before;

cmp_ok(@others, '<', @before, 'sessions at the server');

# it is killed

my $load = SSLSessionCache::Load->new($t);

sleep 0.5;
$store->crash();

is(resumed(@others), @others, 'killed, sessions of the others resumed');
ok(wait_until(sub { resumed(made()) }, 1) && told($t, qr/is down/),
	'killed, noticed');

my $meanwhile = time();
my @meanwhile = sessions(60);
is(resumed(@meanwhile), @meanwhile, 'killed, resumed from second choices');
cmp_ok(grep({ $_->count() } @healthy), '==', 2, 'killed, spread over both');
sleep 0.5;

my @results = $load->results();
my @offered = grep { !$_->{made} && $_->{since} > $meanwhile } @results;

is(join("\n", map { $_->{error} // () } @results), '',
	'killed, no handshake fails');
cmp_ok(max(map { $_->{seconds} // 0 } @results), '<', LONGEST,
	'killed, none waits longer');
cmp_ok(grep({ $_->{reused} } @offered), '>=', max(20, 0.99 * @offered),
	'killed, resumed meanwhile');

# it is back, with nothing in it

$store->start();
ok(wait_until(sub { connected() == 4 }, 20), 'back');

is(resumed(@meanwhile), @meanwhile, 'back, resumed what was stored meanwhile');
is(resumed(@others), @others, 'back, sessions of the others resumed');

my @after = sessions(60);
cmp_ok(grep({ $store->has_key(name($_)) } @after), '>', 5, 'back, has its share');
is(resumed(@after), @after, 'back, resumed');

# what is deleted is deleted at both

my ($r) = grep { $_->{version} eq 'TLSv1.2' && $store->has_key(name($_)) } @after;

$_->forget_calls() foreach @stores;
$store->put(name($r), 'x');
resumed($r);
ok(wait_until(sub { 2 == grep { $_->calls('delete') } @stores }),
	'deleted at both choices');

###############################################################################

sub made {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version // 'TLSv1.2');
	wait_until(sub { grep { $_->has_key(name($r)) } alive() }, 2);

	return $r;
}

sub sessions {
	my ($count) = @_;

	return map { made($_ % 2 ? 'TLSv1.2' : 'TLSv1.3') } 1 .. $count;
}

# Servers that can be asked.

sub alive {
	return grep { kill 0, $_->pid() } @stores;
}

# Connections of workers to the server that was killed.

sub connected {
	return scalar(my @clients = $store->clients());
}

sub told {
	my ($t, $words) = @_;

	return wait_until(sub { 2 == grep { $t->read_file($_) =~ $words }
		'error.log', 'other.log' });
}

sub name {
	my ($r) = @_;

	return $store->key(session_id($r->{session}));
}

sub resumed {
	my (@sessions) = @_;

	return scalar grep { tls_get(8444, version => $_->{version},
		session => $_->{session})->{reused} } @sessions;
}

###############################################################################
