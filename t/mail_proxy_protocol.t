#!/usr/bin/perl

# Behind a load balancer that puts a PROXY protocol header in front of what a
# mail client sends, sessions are resumed on any machine, whether the two arrive
# together or not, with STARTTLS and without.  Otherwise all clients of such a
# fleet pay for full handshakes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = mail_pair($t,
	cache => 'type=%%STORE%%',
	listen => 'proxy_protocol',
);
$t->plan(20);

###############################################################################

my $header = "PROXY TCP4 192.0.2.1 192.0.2.80 4567 993\r\n";

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $port (8993, 8995, 8465, 8143, 8110, 8025) {
		my $client = offer($port, $version);

		is(outcome(sub { $client->connect($header)->starttls()
			->send_hello($client->hello()) }), 'resumed',
			"$version, port $port, apart");
	}

	# With TLS from the start, the two may come together

	foreach my $port (8993, 8995, 8465) {
		my $client = offer($port, $version);

		is(outcome(sub { $client->connect($header . $client->hello())
			->send_hello() }), 'resumed', "$version, port $port, together");
	}

	my $client = offer(8993, $version);

	isnt(outcome(sub { $client->connect()->send_hello($client->hello()) }),
		'resumed', "$version, refused without a header");
}

###############################################################################

sub outcome {
	my ($begin) = @_;

	my $r = eval { $begin->()->get() };

	return $@ =~ s/\n$//r unless $r;
	return $r->{reused} ? 'resumed' : 'full handshake';
}

# A client with a session of the first machine that comes to the second.

sub offer {
	my ($port, $version) = @_;

	my $r = mail_get($port, version => $version, first => $header);
	$store->wait_id(session_id($r->{session}));

	return SSLSessionCache::Mail->new($port + 1, version => $version,
		session => $r->{session});
}

###############################################################################
