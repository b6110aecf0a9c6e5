#!/usr/bin/perl

# The store of a site is gone, or that of the other site: handshakes are full ones,
# or resumed from the other store, and none waits longer than it may.  Otherwise
# the far site takes the near one down with it.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use List::Util qw/ max /;
use Test::More;
use Time::HiRes qw/ time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

# Seconds: the timeout, and what a machine may be late by.
use constant LONGEST => 0.3 + 0.4;

###############################################################################

my $t = Test::Nginx->new();

my ($one, $two) = map { store($t, port => $_) } 8371, 8372;

single($t, site(1));
SSLSessionCache::Nginx->new($t, 'two', config(site(2), port => 8444));
$t->plan(14);

###############################################################################

my $count = 20;
my @slow;

my @first = made(8443, $one);
my @second = made(8444, $two);

is(resumed(8443, @second), $count, 'resumed from the other site');

# the first site's store holds still, then it is dead

$one->freeze();
is(failed(8443, @second), 0, 'silent, no handshake fails');
ok(wait_until(sub { resumed(8443, $second[0]) }), 'silent, resumed from the other site');
is(resumed(8443, @second), $count, 'silent, all of them');
is(failed(8444, @first), 0, 'silent, no handshake fails at the other site');
is(resumed(8444, @second), $count, 'silent, the other site resumes its own');

$one->thaw();
$one->crash();
is(failed(8443, @first, @second), 0, 'dead, no handshake fails');
is(resumed(8443, @second), $count, 'dead, resumed from the other site');
is(resumed(8444, @first), 0, 'dead, full handshakes at the other site');
is(resumed(8444, @second), $count, 'dead, the other site resumes its own');

my $stored = $two->count();
is(full(8443), $count, 'dead, full handshakes');
is($two->count(), $stored, 'dead, nothing goes to the other store');

$one->start();
ok(wait_until(sub { my ($r) = made(8443, $one, 1); resumed(8444, $r) }, 20),
	'back, resumed at the other site');

cmp_ok(max(@slow), '<', LONGEST, 'none waits longer');

###############################################################################

# Sessions that are stored.

sub made {
	my ($port, $store, $number) = @_;

	my @made = map { tls_get($port, version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3') }
		1 .. $number // $count;

	foreach my $r (@made) {
		my $key = $store->key(session_id($r->{session}));
		wait_until(sub { $store->has_key($key) }, 2);
	}

	return @made;
}

sub full {
	my ($port) = @_;

	return scalar grep { !defined $_->{error} && !$_->{reused} }
		map { tls_get($port) } 1 .. $count;
}

sub failed {
	my ($port, @sessions) = @_;

	return scalar grep { defined $_->{error} } map { offer($port, $_) } @sessions;
}

sub resumed {
	my ($port, @sessions) = @_;

	return scalar grep { $_->{reused} } map { offer($port, $_) } @sessions;
}

sub offer {
	my ($port, $r) = @_;

	my $begin = time();
	my $again = tls_get($port, version => $r->{version}, session => $r->{session});
	push @slow, time() - $begin;

	return $again;
}

# A machine of a site.

sub site {
	my ($own) = @_;

	my $other = 3 - $own;

	return (
		store => $one,
		cache => "store=site$own",
		main => <<"EOM",
remote_ssl_session_store site$other {
    type    %%STORE%%;
    server  127.0.0.1:837$other;
    timeout 300ms;
}

remote_ssl_session_store site$own {
    type     %%STORE%%;
    server   127.0.0.1:837$own;
    timeout  300ms;
    fallback site$other;
}
EOM
	);
}

###############################################################################
