#!/usr/bin/perl

# The key files that seeds are sealed with are exchanged as those of sessions are:
# added, swapped, dropped, machine after machine.  No ticket is lost, and none has
# to wait for the next epoch.

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

seal_key($t, "$_.key") foreach 'old', 'new';

my $clock = SSLSessionCache::Clock->new($t, 'both');
my $store = store($t);

my @options = (
	main => 'worker_processes 2;' . $clock->directives(),
	http => 'remote_ssl_session_tickets on;',
	body => '$ssl_session_reused',
);
my $cache = 'type=%%STORE%%';

certificate($t, 'localhost');

my (undef, $other) = $clock->run(sub { pair($t, store => $store,
	cache => "$cache key=old.key", @options) });
$t->plan(14);

###############################################################################

ok(wait_until(sub { $store->count() }), 'a seed is stored');
ok(wait_until(sub { in_step() }), 'both machines are in step');

my @made = (made(8443), made(8444));

change($t, "key=old.key key=new.key", 'added', 2);
change($t, "key=new.key key=old.key", 'swapped', 2);
change($t, "key=new.key", 'dropped', 2);

###############################################################################

# Takes a step on one machine and then on the other.

sub change {
	my ($t, $keys, $step, $records) = @_;

	my @changed = (@options, cache => "$cache $keys");

	$other->write_config(config(@changed, port => 8444));
	replaced($other->pid());
	push @made, made(8443), made(8444);
	is(resumed(), @made * 2, "$step on one, all resumed");

	$t->write_file_expand('nginx.conf', config(@changed));
	replaced(master($t));
	push @made, made(8443), made(8444);
	is(resumed(), @made * 2, "$step on both, all resumed");

	ok(wait_until(sub { $store->count() == $records }), "$step, seeds stored");
	ok(wait_until(sub { in_step() }), "$step, both machines are in step");
}

sub replaced {
	my ($master) = @_;

	my %old = map { $_ => 1 } workers($master);

	kill 'HUP', $master;
	wait_until(sub {
		my @now = workers($master);
		return @now == 2 && !grep { $old{$_} } @now;
	}) or die "no new workers\n";
}

sub made {
	my ($port) = @_;

	return map { +{ version => $_, session => tls_get($port, version => $_)->{session} } }
		'TLSv1.2', 'TLSv1.3';
}

# How often they are, each offered to both.

sub resumed {
	return scalar grep { tls_get($_->[0], %{$_->[1]})->{body} eq 'r' }
		map { my $session = $_; map { [ $_, $session ] } 8443, 8444 } @made;
}

sub in_step {
	return 2 == grep { my ($from, $to) = @$_;
		tls_get($to, %{(made($from))[1]})->{body} eq 'r' } [ 8443, 8444 ], [ 8444, 8443 ];
}

###############################################################################
