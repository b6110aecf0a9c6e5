#!/usr/bin/perl

# A client of stream{} may leave while its lookup waits for the store, by closing
# its connection, or one half of it, or by a reset.  It must cost nothing: no
# crash when the reply comes, no connection that stays, and no memory.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);

stream_single($t, store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=10s');
$t->plan(12);

###############################################################################

my @versions = ('TLSv1.2', 'TLSv1.3');
my $worker = worker($t);
my %sessions;

foreach my $version (@versions) {
	ok(wait_until(sub { $sessions{$version} = made($version);
		offer($version)->{reused} }), "$version, link is up")
		or die "nothing is resumed\n";
}

my $connections = settled($worker);

my %ways = (
	close => sub { @{$_[0]} = () },
	reset => sub { reset_connection($_->socket()) foreach @{$_[0]} },
	half => sub { shutdown $_->socket(), 1 foreach @{$_[0]} },
);

leave($_, 10) foreach sort keys %ways;

my ($answered, $calls);
my $growth = growth($worker, sub {
	$store->forget_calls();
	$answered = leave('close', 10) + leave('reset', 10);
	$calls = $store->calls('get');
});

is($answered, 0, 'all left while their lookups waited');
is($calls, 2000, 'all lookups were answered');
is($growth, 0, 'no growth of memory');

is(growth($worker, sub { leave('half', 10) }), 0,
	'one half closed, no growth of memory');
is(settled($worker), $connections, 'no connection is left');

# the last replies come to nobody

foreach my $version (@versions) {
	my $r = offer($version);
	is($r->{reused}, 1, "$version, resumed after them");
	is($r->{body}, 'offered', "$version, answered after them");
}

is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# Rounds of a hundred, who leave in some way while the store is held still; how
# many were answered before they left.

sub leave {
	my ($way, $rounds) = @_;

	my $answered = 0;
	my $calls = $store->calls('get');

	foreach (1 .. $rounds) {
		my $lookups = $link->lookups() + 100;

		$store->freeze();
		my @waiting = map { tls_hello(8443, version => $_,
			session => $sessions{$_}) } (@versions) x 50;

		$link->wait_lookups($lookups);
		$answered += grep { $_->answered() } @waiting;
		$ways{$way}->(\@waiting);
		$store->thaw();
		$store->wait_calls('get', $calls += 100);

		# memory shows what stays when all are gone
		@waiting = ();
		wait_until(sub { connections($worker) <= $connections });

		last if $answered or $link->lookups() < $lookups;
	}

	return $answered;
}

sub offer {
	my ($version) = @_;

	return stream_get(8443, version => $version, echo => 'offered',
		session => $sessions{$version});
}

sub made {
	my ($version) = @_;

	my $r = stream_get(8443, version => $version, echo => 'made');
	$store->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
