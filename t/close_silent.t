#!/usr/bin/perl

# A client of http{}, stream{} or mail{} that closes its connection without TLS's
# word for it keeps its session, also when nginx is about to close the connection
# as well.  In http{} nginx does not wait for that word; in stream{} and mail{} it
# does, and OpenSSL then drops the session.  Otherwise the sessions of such clients,
# of which there are many, vanish from the store by chance, for all machines.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Frontends;
use SSLSessionCache::Nginx;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $store = frontends($t, type => '%%STORE%%');

my %config = (
	cache => 'type=%%STORE%%',
	body => '$remote_ssl_session_cache_status',
);

SSLSessionCache::Nginx->new($t, 'one', stream_config(%config, port => 8446));
SSLSessionCache::Nginx->new($t, 'other', stream_config(%config, port => 8447));
SSLSessionCache::Nginx->new($t, 'tier', stream_config(%config, port => 8448,
	server => 'ssl_session_cache shared:SSL:1m;'));
$t->plan(22);

###############################################################################

my $count = 10;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	test_served($_, $version) foreach qw/ http mail stream /;
	test_early($version);
	is($store->calls('delete'), 0, "$version, at once, nothing is deleted");
}

###############################################################################

# They go when nginx has said all.

sub test_served {
	my ($name, $version) = @_;

	$store->forget_calls();

	my @made = map { visit($store, $name, version => $version) } 1 .. $count;
	my @again = map { visit($store, $name, version => $version,
		session => $_->{session}) } @made;

	is(grep({ $_->{reused} } @again), $count, "$version, $name, resumed");
	is($store->calls('delete'), 0, "$version, $name, nothing is deleted");
}

# They go before: the end of the connection is in one packet with that of the
# handshake.

sub test_early {
	my ($version) = @_;

	$store->forget_calls();

	my $r = stream_get(8446, version => $version);
	$store->wait_id(session_id($r->{session}));

	my @left = map { leave($_ % 2 ? 8446 : 8447, $r) } 1 .. $count;

	is(grep({ $_->{body} eq 'HIT' } @left), $count,
		"$version, at once, resumed each time");
	is(stream_get(8447, version => $version, session => $r->{session})->{body},
		'HIT', "$version, at once, resumed by who says so");

	# nor does nginx's own tier lose it

	my @bodies = map { leave(8448, $r)->{body} } 1 .. $count;
	is("@bodies", join(' ', 'HIT', ('LOCAL') x ($count - 1)),
		"$version, at once, behind a tier, resumed each time");

	return if $version eq 'TLSv1.2';

	# what such a client was given

	is(grep({ leave(8447, $_)->{body} eq 'HIT' } @left), $count,
		"$version, at once, new ones are resumed");

	my @made = map { leave(8446, { version => $version }) } 1 .. $count;
	$store->wait_id(session_id($_->{session})) foreach @made;

	is(grep({ leave(8447, $_)->{body} eq 'HIT' } @made), $count,
		"$version, at once, first ones are resumed");
}

sub leave {
	my ($port, $r) = @_;

	return stream_get($port, version => $r->{version}, at_once => 1, leaves => 1,
		defined $r->{session} ? (session => $r->{session}) : ());
}

###############################################################################
