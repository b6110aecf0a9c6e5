#!/usr/bin/perl

# A client of stream{} that closes its connection without TLS's word for it, when
# nginx is about to close it as well, keeps its session, as it does in http{}.
# There nginx does not wait for that word; in stream{} it does, and OpenSSL then
# drops the session.  Otherwise the sessions of such clients, of which there are
# many, vanish from the store by chance, for all machines.

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

###############################################################################

my $t = Test::Nginx->new();

my %config = (
	cache => 'type=%%STORE%%',
	body => '$remote_ssl_session_cache_status',
);

my ($store) = stream_pair($t, %config);
my $tier = SSLSessionCache::Nginx->new($t, 'tier', stream_config(%config,
	port => 8445, server => 'ssl_session_cache shared:SSL:1m;'));
$t->plan(11);

###############################################################################

my $count = 10;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = stream_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));
	$store->forget_calls();

	my @left = map { leave($_ % 2 ? 8443 : 8444, $r) } 1 .. $count;

	is(grep({ $_->{body} eq 'HIT' } @left), $count, "$version, resumed each time");
	is($store->calls('delete'), 0, "$version, nothing is deleted");
	is(stream_get(8444, version => $version, session => $r->{session})->{body},
		'HIT', "$version, resumed by who says so");

	# nor does nginx's own tier lose it

	my @bodies = map { leave(8445, $r)->{body} } 1 .. $count;
	is("@bodies", join(' ', 'HIT', ('LOCAL') x ($count - 1)),
		"$version, behind a tier, resumed each time");

	next if $version eq 'TLSv1.2';

	# what such a client was given

	is(grep({ leave(8444, $_)->{body} eq 'HIT' } @left), $count,
		"$version, new ones are resumed");

	my @made = map { leave(8443, { version => $version }) } 1 .. $count;
	$store->wait_id(session_id($_->{session})) foreach @made;

	is(grep({ leave(8444, $_)->{body} eq 'HIT' } @made), $count,
		"$version, first ones are resumed");
}

is($store->calls('delete'), 0, 'nothing is deleted');

###############################################################################

# The end of the connection is in one packet with that of the handshake.

sub leave {
	my ($port, $r) = @_;

	return stream_get($port, version => $r->{version}, at_once => 1, leaves => 1,
		defined $r->{session} ? (session => $r->{session}) : ());
}

###############################################################################
