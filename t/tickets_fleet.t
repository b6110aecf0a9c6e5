#!/usr/bin/perl

# A ticket that one machine gives resumes on every other, whichever epoch it is
# from, over reloads, and with the store gone for hours: nothing is looked up.

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

use constant AT_ONCE => 32;

my $t = Test::Nginx->new();
my $clock = SSLSessionCache::Clock->new($t, 'both');

seal_key($t, 'cache.key');
certificate($t, 'localhost');

my $store = store($t);

my (undef, $other) = $clock->run(sub { pair($t,
	store => $store,
	main => 'worker_processes 2;' . $clock->directives(),
	cache => 'type=%%STORE%% key=cache.key timeout=300ms',
	http => 'remote_ssl_session_tickets on rotate=1h;
		ssl_session_timeout 4h;',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
) });
$t->plan(21);

###############################################################################

my @made;

ok(wait_until(sub { $store->count() == 1 }), 'a seed is stored');

foreach my $hour (0 .. 2) {
	push @made, make();
	is(resumed(8444, @made), "@{[ scalar @made ]} of @{[ scalar @made ]}",
		"epoch $hour, made on A resume on B");
	is(resumed(8443, @made[-AT_ONCE() .. -1]), AT_ONCE() . ' of ' . AT_ONCE(),
		"epoch $hour, and on A");

	# The next seed is made before it is time

	$clock->set($hour, 2950);
	ok(reloaded($t, $other), "epoch $hour, reloaded");
	ok(wait_until(sub { $store->count() == $hour + 2 }),
		"epoch $hour, the next seed is stored");
	is(resumed(8444, @made), "@{[ scalar @made ]} of @{[ scalar @made ]}",
		"epoch $hour, resumed after a reload");

	$clock->set($hour + 1, 1);
}

# Nothing but seeds

is($store->count(), 4, 'no session is stored');

# Without the store, the next keys come out of those that are known

$store->crash();
@made = @made[-AT_ONCE() .. -1];

foreach my $hour (4, 5) {
	$clock->set($hour, 1);
	push @made, make();
	is(resumed(8444, @made), "@{[ scalar @made ]} of @{[ scalar @made ]}",
		"epoch $hour, without the store");
}

ok(reloaded($t, $other), 'reloaded without the store');
is(resumed(8444, @made), "@{[ scalar @made ]} of @{[ scalar @made ]}",
	'resumed after a reload without the store');

###############################################################################

sub reloaded {
	my ($t, $other) = @_;

	my %old = map { $_ => 1 } workers($other);

	kill 'HUP', $other->pid();

	return reload($t, 2) && wait_until(sub {
		my @now = workers($other);
		return @now == 2 && !grep { $old{$_} } @now;
	});
}

# Sessions made on A, all at a time.

sub make {
	my @begun = map { my $version = $_ % 2 ? 'TLSv1.2' : 'TLSv1.3';
		[ $version, tls_hello(8443, version => $version) ] } 1 .. AT_ONCE;

	return map { +{ version => $_->[0], session => $_->[1]->get('/')->{session} } }
		@begun;
}

# How many of them are resumed, some at a time.

sub resumed {
	my ($port, @sessions) = @_;

	my $resumed = 0;
	my @left = @sessions;

	while (my @some = splice @left, 0, AT_ONCE) {
		my @begun = map { tls_hello($port, %$_) } @some;
		$resumed += grep { $_->get('/')->{body} =~ /^r TICKET(_OLD)?$/ } @begun;
	}

	return "$resumed of @{[ scalar @sessions ]}";
}

###############################################################################
