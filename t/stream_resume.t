#!/usr/bin/perl

# A session made on any worker of one nginx that ends TLS for a TCP service is
# resumed on any worker of another, both ways, and what goes to the service and
# back arrives as it is, also what a client sends at once.  Without it clients of
# a database or a broker behind a fleet pay for full handshakes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = stream_pair($t,
	cache => 'type=%%STORE%%',
	main => 'worker_processes 2;',
	listen => 'reuseport',
);
$t->plan(25);

###############################################################################

my $count = 20;

# connections of each machine
my %lines = (8443 => 4 * $count + 6, 8444 => 4 * $count + 2);

# more than one record, and more than one buffer of nginx

Net::SSLeay::RAND_bytes(my $long, 200_000);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	resumes("$version, this to other", $version, 8443, 8444);
	resumes("$version, other to this", $version, 8444, 8443);

	my $first = made(8443, $version);
	my $second = offer(8444, $first, 'again');
	$store->wait_id(session_id($second->{session}));

	is(offer(8443, $first, 'once more')->{reused}, 1,
		"$version, resumed where it was made");
	is(offer(8443, $second, 'and again')->{reused}, 1,
		"$version, resumed once more");
}

# of which workers, as each machine tells

foreach my $port (sort keys %lines) {
	my @lines = log_lines($t, $port, $lines{$port});

	foreach my $kind ('TLSv1.2 .', 'TLSv1.3 r') {
		my %pids = map { /^(\d+) \Q$kind\E / ? ($1 => 1) : () } @lines;
		is(keys %pids, 2, "$port, $kind, several workers");
	}
}

my @resumed = log_lines($t, 8444, $lines{8444});
is(grep({ / r HIT$/ } @resumed), 2 * $count + 2, 'resumed, the log says');

###############################################################################

sub resumes {
	my ($name, $version, $from, $to) = @_;

	my @made = map { made($from, $version) } 1 .. $count;
	my @resumed = map { offer($to, $_, $long) } @made;

	is(grep({ $_->{reused} } @made), 0, "$name, made");
	is(grep({ $_->{body} eq 'made' } @made), $count, "$name, made, answered");
	is(grep({ $_->{reused} } @resumed), $count, "$name, resumed");
	is(grep({ $_->{body} eq $long } @resumed), $count,
		"$name, resumed, answered");
}

sub made {
	my ($port, $version) = @_;

	my $r = stream_get($port, version => $version, echo => 'made');
	$store->wait_id(session_id($r->{session}));

	return $r;
}

sub offer {
	my ($port, $r, $text) = @_;

	return stream_get($port, version => $r->{version}, echo => $text,
		session => $r->{session}, at_once => 1);
}

###############################################################################
