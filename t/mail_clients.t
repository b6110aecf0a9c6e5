#!/usr/bin/perl

# What clients of the mail server do while their handshake waits for the store
# costs nothing: they leave, with a reset or without, or send more, right or
# wrong.  No crash when the reply comes, no memory that stays behind, and those
# that have done nothing wrong are resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Mail;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);

mail_single($t, store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=10s');
SSLSessionCache::Nginx->new($t, 'other',
	mail_config($t, cache => 'type=%%STORE%%', offset => 1));
$t->plan(28);

###############################################################################

my @ports = (8993, 8995, 8465, 8143, 8110, 8025);
my @versions = ('TLSv1.2', 'TLSv1.3');
my $worker = worker($t);

my @kinds = map { my $port = $_; map { [ $port, $_ ] } @versions } @ports;
push @$_, made(@$_) foreach @kinds;

ok(wait_until(sub { offer($kinds[0])->get()->{reused} }), 'link is up')
	or die "nothing is resumed\n";
my $connections = connections($worker);

# leaves

my ($answered, $calls);

leave(10);
my $growth = growth($worker, sub {
	$store->forget_calls();
	$answered = leave(20);
	$calls = $store->calls('get');
});

is($answered, 0, 'all left while their lookups waited');
is($calls, 1920, 'all lookups were answered');
is(join(' ', workers(master($t))), $worker, 'same worker');
is($growth, 0, 'no growth of memory');

# sends more

my %more = (
	'an alert' => "\x15\x03\x01\0\2\2\x28",
	'close_notify' => "\x15\x03\x01\0\2\1\0",
	'data' => "\x17\x03\x03\0\x11" . 'x' x 17,
	'no record' => "1 LOGIN user secret\r\n",
);

foreach my $kind (grep { $_->[0] =~ /^(?:8993|8143)$/ } @kinds) {
	my ($port, $version) = @$kind;
	my $name = "$version, port $port";

	is(behind($kind, ''), 'resumed', "$name, waits");

	is(behind($kind, "\x14\x03\x03\0\1\1"), 'resumed',
		"$name, lone ChangeCipherSpec") if $version eq 'TLSv1.3';

	foreach my $more (sort keys %more) {
		is(behind($kind, $more{$more}), 'refused', "$name, $more");
	}
}

is(join(' ', workers(master($t))), $worker, 'same worker in the end');

###############################################################################

# Rounds of some of each kind, who leave while the store is held still; how many
# were answered before they left.

sub leave {
	my ($rounds) = @_;

	my $answered = 0;
	my $calls = $store->calls('get');

	foreach my $round (1 .. $rounds) {
		my $lookups = $link->lookups() + 8 * @kinds;

		$store->freeze();
		my @waiting = map { offer($_) } (@kinds) x 8;

		$link->wait_lookups($lookups);
		$answered += grep { $_->answered() } @waiting;

		if ($round % 2) {
			reset_connection($_->socket()) foreach @waiting;
		}

		@waiting = ();
		$store->thaw();
		$store->wait_calls('get', $calls += 8 * @kinds);

		# memory shows what stays when all are gone
		wait_until(sub { connections($worker) <= $connections });

		last if $answered or $link->lookups() < $lookups;
	}

	return $answered;
}

# What comes of a client that sends something behind its ClientHello while that
# waits.

sub behind {
	my ($kind, $bytes) = @_;

	my $lookups = $link->lookups() + 1;

	$store->freeze();
	my $client = offer($kind);
	$link->wait_lookups($lookups);
	syswrite $client->socket(), $bytes;
	$store->thaw();

	my $r = eval { $client->get() };

	return $@ =~ /timed out/ ? 'timed out' : 'refused' unless $r;
	return $r->{reused} ? 'resumed' : 'full handshake';
}

sub offer {
	my ($kind) = @_;
	my ($port, $version, $session) = @$kind;

	return mail_hello($port, version => $version, session => $session);
}

sub made {
	my ($port, $version) = @_;

	my $r = mail_get($port + 1, version => $version);
	$store->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
