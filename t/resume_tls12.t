#!/usr/bin/perl

# A TLSv1.2 session made on any worker of one nginx is resumed by its id on any
# worker of another, both ways.  Without it a client that comes back and meets
# another machine pays for a full handshake.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = pair($t,
	cache => 'type=%%STORE%%',
	main => 'worker_processes 2;',
	listen => 'reuseport',
	body => '$pid $ssl_protocol $ssl_session_reused',
);
$t->plan(9);

###############################################################################

my $version = 'TLSv1.2';
my $count = 20;

resumes('this to other', 8443, 8444);
resumes('other to this', 8444, 8443);

my $first = full(8443);
my $second = offer(8444, $first);
$store->wait_id(session_id($second->{session}));

like($second->{body}, qr/$version r$/, 'resumed on other');
is(offer(8443, $first)->{reused}, 1, 'resumed where it was made');
is(offer(8443, $second)->{reused}, 1, 'resumed once more');

###############################################################################

sub resumes {
	my ($name, $from, $to) = @_;

	my @made = map { full($from) } 1 .. $count;
	my @resumed = map { offer($to, $_) } @made;

	is(grep({ $_->{reused} } @made), 0, "$name, made");
	is(grep({ $_->{reused} } @resumed), $count, "$name, resumed");
	is(workers_of(@made) . workers_of(@resumed), '22',
		"$name, several workers");
}

sub workers_of {
	my %pids = map { $_->{body} =~ /^(\d+)/ => 1 } @_;

	return scalar keys %pids;
}

sub full {
	my ($port) = @_;

	my $r = tls_get($port, version => $version);
	$store->wait_id(session_id($r->{session}));

	return $r;
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $version, session => $r->{session});
}

###############################################################################
