#!/usr/bin/perl

# A ticket that the mail server of one machine gives resumes on every other, with
# STARTTLS and without, also with the store gone: nothing is stored for it, and
# nothing looked up.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

seal_key($t, 'cache.key');

my ($store) = mail_pair($t,
	cache => 'type=%%STORE%% key=cache.key timeout=300ms',
	mail => 'remote_ssl_session_tickets on;',
);
$t->plan(31);

###############################################################################

my @ports = (8993, 8995, 8465, 8143, 8110, 8025);
my %made;

# Both have the keys

ok(wait_until(sub { offer('TLSv1.3', 8994, mail_get(8993)->{session}) }),
	'keys are known');

$store->forget_calls();

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $port (@ports) {
		my $r = mail_get($port, version => $version);
		$made{"$version $port"} = $r->{session};

		is($r->{error}, undef, "$version, port $port, made");
		is(offer($version, $port + 1, $r->{session}), 1,
			"$version, port $port, resumed");
	}
}

is($store->calls('get'), 0, 'nothing is looked up');

# Across protocols as well: with one certificate they are one server

is(offer('TLSv1.3', 8111, $made{'TLSv1.3 8993'}), 1,
	'IMAP with TLS, resumed in POP3 with STARTTLS');

$store->crash();

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $port (8993, 8143) {
		is(offer($version, $port + 1, $made{"$version $port"}), 1,
			"$version, port $port, resumed without the store");
	}
}

###############################################################################

sub offer {
	my ($version, $port, $session) = @_;

	return mail_get($port, version => $version,
		session => $session)->{reused};
}

###############################################################################
