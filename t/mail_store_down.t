#!/usr/bin/perl

# With the store away, silent or late, whoever comes to the mail server gets a
# full handshake in time and can log in, with TLS from the start and with
# STARTTLS; when it is back, so is resumption.  Otherwise mail stops with the
# store.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Link;
use SSLSessionCache::Mail;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);
$store->stop();

mail_pair($t, store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=1s interval=50ms');
$t->plan(19);

###############################################################################

my @ports = (8993, 8995, 8465, 8143, 8110, 8025);
my @versions = ('TLSv1.2', 'TLSv1.3');

my @made = made();
served('absent at start', @made);

$store->start();
ok(back(), 'back after it was absent');

# Each offers a session that is in the store, which goes meanwhile

@made = stored();
$store->freeze();
my @waiting = offer(@made);

select undef, undef, undef, 0.1;
is(grep({ $_->answered() } @waiting), 0, 'lookups wait');

$store->crash();
all_full('killed', map { outcome($_) } @waiting);

$store->start();
ok(back(), 'back after it was killed');

@made = stored();
$store->freeze();
served('silent', @made);
$store->thaw();
ok(back(), 'back after it was silent');

@made = stored();
$link->fault('slow', 1.2);
served('late', @made);
$link->fault('none');
ok(back(), 'back after it was late');

$store->stop();
served('gone', @made);

###############################################################################

# Clients of all kinds with their sessions, one behind the other: the first ones
# may wait as long as the store may take.

sub served {
	my ($name, @made) = @_;

	my $begin = time();
	my @got = map { outcome(offer($_)) } @made;
	my $took = time() - $begin;

	all_full($name, @got);
	cmp_ok($took, '<', 8, "$name, in time");
}

# What must have come of clients.

sub all_full {
	my ($name, @got) = @_;

	is(join('', map { $_->{error} // '' } @got), '', "$name, all logged in");
	is(grep({ $_->{reused} } @got), 0, "$name, full handshakes");
}

sub outcome {
	my ($client) = @_;

	return eval { $client->get() } // { error => $@ };
}

# Sessions of all kinds: port, version, session.

sub made {
	return map { my $port = $_; map { [ $port, $_,
		mail_get($port, version => $_)->{session} ] } @versions } @ports;
}

sub stored {
	my @made = made();
	$store->wait_id(session_id($_->[2])) foreach @made;

	return @made;
}

sub offer {
	return map { mail_hello($_->[0] + 1, version => $_->[1],
		session => $_->[2]) } @_;
}

sub back {
	return wait_until(sub {
		my $r = mail_get(8143, version => 'TLSv1.2');
		return mail_get(8144, version => 'TLSv1.2',
			session => $r->{session})->{reused};
	});
}

###############################################################################
