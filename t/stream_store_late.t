#!/usr/bin/perl

# A store that is late holds up the one handshake that waits for it, and nobody
# else on the same worker; what the client says then, in one packet with the end
# of its handshake, reaches the service, whether the session came or the time was
# over.  A reply that comes when nobody waits for it any more changes nothing of
# a connection in use.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);

# two machines, of which the other one's patience is short

stream_single($t, store => $store, cache => 'type=%%STORE%% timeout=10s');
my $other = SSLSessionCache::Nginx->new($t, 'other', stream_config(
	cache => 'type=%%STORE%% timeout=300ms', port => 8444));
$t->plan(17);

###############################################################################

my @pids = (workers(master($t)), workers($other));

Net::SSLeay::RAND_bytes(my $long, 200_000);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = stream_get(8443, version => $version, echo => 'made');
	$store->wait_id(session_id($r->{session}));
	my %client = (version => $version, session => $r->{session});

	wait_until(sub { stream_get($_, %client, echo => 'x')->{reused} })
		foreach 8443, 8444;

	# one that waits, beside others

	my $neighbour = tls_hello(8443, version => $version);
	stream_talk($neighbour, echo => 'before');

	$store->freeze();
	my $waiting = tls_hello(8443, %client);
	my @beside = map { stream_get(8443, version => $version, echo => $long) }
		1 .. 5;
	push @beside, stream_talk($neighbour, echo => $long);

	is(grep({ $_->{body} eq $long } @beside), 6,
		"$version, others are served meanwhile");
	ok(!$waiting->answered(), "$version, waits");
	$store->thaw();

	my $got = stream_talk($waiting, echo => $long, at_once => 1);

	is($got->{reused}, 1, "$version, resumed after waiting");
	is($got->{body}, $long, "$version, answered after waiting");

	# one that has waited enough

	$store->freeze();
	my $client = tls_hello(8444, %client);
	$got = stream_talk($client, echo => $long, at_once => 1);

	is($got->{reused}, 0, "$version, not resumed in time");
	is($got->{body}, $long, "$version, answered without");
	$store->thaw();
	wait_until(sub { stream_get(8444, %client, echo => 'x')->{reused} });

	is(stream_talk($client, echo => $long)->{body}, $long,
		"$version, still served after the reply came");
}

my %statuses = map { / (\S+)$/ => 1 } log_lines($t, 8444, 6);

ok($statuses{TIMEOUT}, 'the log tells of it');
ok($statuses{HIT}, 'and that it is over');
is(join(' ', workers(master($t)), workers($other)), "@pids", 'same workers');

###############################################################################
