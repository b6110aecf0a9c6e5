#!/usr/bin/perl

# A store that comes up and is lost over and over again is told of in the log once
# a second, with how often it was, and what is told last is how it is.  Otherwise
# such a store fills the disk, with hundreds of lines a second.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

single($t, store => $store, cache => 'interval=10ms');
$t->plan(6);

###############################################################################

ok(wait_until(sub { last_line($t) =~ / is up$/ }), 'up');

my $start = time();
my $lost = 0;

while (time() - $start < 4) {
	my $connections = $store->calls('ping');
	$store->drop('accept', 'none');
	$lost++;
	wait_until(sub { $store->calls('ping') > $connections });
}

# those that it had not noticed to be up again are not counted

ok(wait_until(sub { told($t) > $lost / 2 && last_line($t) =~ / is up$/ }),
	'counted, and up in the end');
cmp_ok($lost, '>', 20, 'lost over and over');
cmp_ok(scalar(my @downs = downs($t)), '<=', time() - $start + 2,
	'told once a second');
is(scalar(my @ups = grep { / is up$/ } lines($t)), @downs + 1,
	'as often, that it is up');

$store->end('KILL');
ok(wait_until(sub { last_line($t) =~ / is down\b/ }), 'down');

###############################################################################

# How often the store went down, by what the lines say.

sub told {
	my ($t) = @_;
	my $times = 0;
	$times += /is down, (\d+) times since the last such message: / ? $1 : 1
		foreach downs($t);

	return $times;
}

sub downs {
	my ($t) = @_;

	return grep { / is down\b/ } lines($t);
}

sub last_line {
	my ($t) = @_;

	return (lines($t))[-1] // '';
}

sub lines {
	my ($t) = @_;

	return $t->read_file('error.log') =~ /sslsessioncache: (redis .*)/g;
}

###############################################################################
