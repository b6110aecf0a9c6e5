#!/usr/bin/perl

# Packets of a client of HTTP/3 get lost, and are sent again, also while its
# handshake waits for the store.  That must neither ask the store once more, nor
# keep the session from being resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;
use SSLSessionCache::Wait;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/));

my $link = SSLSessionCache::Link->new($t);
my $redis = single($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=5s',
	quic => 8980,
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(7);

my $log = $t->testdir() . '/error.log';

###############################################################################

my $session = h3_made(8980, $redis);

my %packets = (
	'the same packet' => sub {
		my ($client, $datagram) = @_;
		return ($datagram) x 5;
	},
	'the ClientHello again' => sub {
		my ($client) = @_;
		return map { $client->datagram() } 1 .. 5;
	},
	'probes' => sub {
		my ($client) = @_;
		return map { $client->datagram("\x01") } 1 .. 5;
	},
	'the ClientHello in parts' => sub {
		my ($client) = @_;
		return map { $client->datagram($client->crypto($_)) } 0, 100, 1;
	},
	'packets of others' => sub {
		my ($client, $datagram) = @_;
		substr($datagram, -20) = "\0" x 20;
		return ($datagram) x 5;
	},
);

$redis->forget_calls();

foreach my $what (sort keys %packets) {
	my $client = SSLSessionCache::QUICHello->new(8980, session => $session);
	my $datagram = $client->datagram();
	my $lookups = $link->lookups() + 1;

	$redis->freeze();
	$client->send($datagram);
	$link->wait_lookups($lookups);

	my $seen = received();
	my @again = $packets{$what}->($client, $datagram);
	$client->send(@again);
	wait_until(sub { received() >= $seen + @again });
	$redis->thaw();

	is($client->get()->{body}, 'r HIT', "$what: resumed");
}

is($redis->calls('get'), keys %packets, 'each was looked up once');
unlike($t->read_file('error.log'), qr/SSL_do_handshake\(\) failed/,
	'no handshake has failed');

###############################################################################

# How many datagrams has nginx taken?

sub received {
	return logged($log, 'quic recvmsg: fd');
}

###############################################################################
