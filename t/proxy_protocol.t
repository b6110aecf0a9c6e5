#!/usr/bin/perl

# Behind a load balancer that puts a PROXY protocol header in front of the
# ClientHello, sessions are resumed on any machine, however the two arrive, and
# the client's address is the one of the header.  Otherwise all clients of such
# a fleet pay for full handshakes, or are refused.

###############################################################################

use warnings;
use strict;

use FindBin;
use Socket qw/ AF_INET6 inet_aton inet_pton /;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($redis) = pair($t,
	http => 'ssl_protocols TLSv1.2 TLSv1.3;',
	listen => 'proxy_protocol',
	body => '$ssl_session_reused $proxy_protocol_addr',
);
$t->plan(38);

###############################################################################

my %headers = (
	'version 1' => \&version_1,
	'version 2' => \&version_2,
	'version 2, IPv6' => \&version_2_ipv6,
);

# The header itself comes in one piece: nginx closes the connection otherwise.

my %ways = (
	'in one packet' => sub { $_[0] . $_[1]->hello() },
	'apart' => sub { ($_[0], $_[1]->hello()) },
	'in the midst of the hello' => sub {
		my ($header, $client) = @_;
		my ($start, $rest) = unpack 'a8 a*', $client->hello();
		return ($header . $start, $rest);
	},
	'with small records' => sub { ($_[0], $_[1]->in_records(7)) },
	'byte by byte' => sub { ($_[0], split //, $_[1]->hello()) },
);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $name (sort keys %headers) {
		my $address = $name =~ /IPv6/ ? '2001:db8::2' : '192.0.2.2';

		foreach my $way (sort keys %ways) {
			is(get(8444, $version, made($version), $headers{$name}->(2),
				$ways{$way}), "r $address", "$version, $name, $way");
		}
	}

	is(get(8444, $version, made($version), "PROXY UNKNOWN\r\n",
		$ways{apart}), 'r ', "$version, unknown address");

	my $session = made($version);

	is(get(8444, $version, $session, '', sub { $_[1]->hello() }), undef,
		"$version, refused without a header");
	is(get(8444, $version, $session, version_1(2), $ways{apart}),
		'r 192.0.2.2', "$version, resumed afterwards");

	$redis->clear();

	is(get(8444, $version, $session, version_2(2), $ways{apart}),
		'. 192.0.2.2', "$version, session that is gone");
}

###############################################################################

# What nginx answers to a client whose session, header and hello are these.

sub get {
	my $r = answer(@_);

	return $r ? $r->{body} : undef;
}

# The session of a client with another address.

sub made {
	my ($version) = @_;

	my $r = answer(8443, $version, undef, version_1(1), $ways{apart})
		or die "no session\n";
	$redis->wait_id(session_id($r->{session}));

	return $r->{session};
}

sub answer {
	my ($port, $version, $session, $header, $way) = @_;

	my $client = SSLSessionCache::Hello->new(version => $version,
		session => $session);

	return eval { $client->send($port, $way->($header, $client))->get('/') };
}

# Headers of a client whose address ends with a number.

sub version_1 {
	my ($client) = @_;

	return "PROXY TCP4 192.0.2.$client 192.0.2.80 4567 443\r\n";
}

sub version_2 {
	my ($client) = @_;

	return binary(0x11, map { inet_aton("192.0.2.$_") } $client, 80);
}

sub version_2_ipv6 {
	my ($client) = @_;

	return binary(0x21,
		map { inet_pton(AF_INET6, "2001:db8::$_") } $client, 80);
}

sub binary {
	my ($family, @addresses) = @_;

	return "\r\n\r\n\0\r\nQUIT\n" . pack 'CCn/a', 0x21, $family,
		join '', @addresses, pack 'nn', 4567, 443;
}

###############################################################################
