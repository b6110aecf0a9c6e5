#!/usr/bin/perl

# nginx closes a connection that has not logged in by the timeout of mail{}, which
# with STARTTLS begins before the handshake.  Where what is left of it is shorter
# than the timeout of a store that is late, the handshake goes on before, as a
# full one.  Otherwise a late store means that nobody can log in.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use Time::HiRes qw/ sleep time /;

use SSLSessionCache::Mail;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = mail_pair($t,
	cache => 'type=%%STORE%% timeout=1h interval=1h',
	mail => 'timeout 4s;',
);
$t->plan(9);

###############################################################################

my $worker = worker($t);
my @versions = ('TLSv1.2', 'TLSv1.3');
my @made;

foreach my $port (8993, 8995, 8465, 8143, 8110, 8025) {
	foreach my $version (@versions) {
		my $session = mail_get($port + 1, version => $version)->{session};
		$store->wait_id(session_id($session));
		push @made, SSLSessionCache::Mail->new($port,
			version => $version, session => $session);
	}
}

is(mail_get(8993, session => mail_get(8994)->{session})->{error}, undef,
	'store is up');

my @late = splice @made, 8;
is(@made, 8, 'some begin at once');
is(@late, 4, 'some with STARTTLS late');

# Those that are late have half of the time left

$store->freeze();

my $begin = time();
$_->connect() foreach @made, @late;
$_->starttls()->send_hello($_->hello()) foreach @made;
sleep 2;
$_->starttls()->send_hello($_->hello()) foreach @late;
my @got = map { my $client = $_; eval { $client->get() } // { error => $@ } }
	@made, @late;
my $took = time() - $begin;

is(join('', map { $_->{error} // '' } @got), '', 'all logged in');
is(grep({ $_->{reused} } @got), 0, 'all were full handshakes');
cmp_ok($took, '<', 10, 'well before the timeout of the store');

# replies that come later are for nobody

$store->thaw();

foreach my $version (@versions) {
	is(mail_get(8143, version => $version)->{error}, undef,
		"$version, served after them");
}

is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################
