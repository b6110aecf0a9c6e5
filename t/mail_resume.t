#!/usr/bin/perl

# A session made with the mail server of one machine is resumed on another, in
# IMAP, POP3 and SMTP, and whoever resumes it can log in.  Without it a phone that
# looks for mail every few minutes pays for a full handshake each time.

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

my ($store) = mail_pair($t, cache => 'type=%%STORE%%');
$t->plan(24);

###############################################################################

my %ports = (IMAP => 8993, POP3 => 8995, SMTP => 8465);
my $count = 10;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $protocol (sort keys %ports) {
		my $port = $ports{$protocol};

		resumes("$version, $protocol", $version, $port, $port + 1);
		resumes("$version, $protocol, back", $version, $port + 1, $port);
	}
}

###############################################################################

sub resumes {
	my ($name, $version, $from, $to) = @_;

	my @made = map { mail_get($from, version => $version) } 1 .. $count;
	$store->wait_id(session_id($_->{session}))
		foreach grep { !$_->{error} } @made;

	my @resumed = map { mail_get($to, version => $version,
		session => $_->{session}) } @made;

	is(join('', map { $_->{error} // '' } @made, @resumed), '',
		"$name, logged in");
	is(join('', map { $_->{reused} // '' } @made, @resumed),
		0 x $count . 1 x $count, "$name, resumed");
}

###############################################################################
