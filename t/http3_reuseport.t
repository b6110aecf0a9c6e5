#!/usr/bin/perl

# With several workers, HTTP/3 wants a socket for each of them ("reuseport"), and
# the kernel chooses the worker by the addresses, or, with "quic_bpf", by the id of
# the connection.  Whichever it is, sessions of another machine are resumed in it,
# also for those who have to say hello again meanwhile.

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
my $redis = single($t, cache => 'suspend=retry', quic => 8980);

my $session = h3_made(8980, $redis);

# what "quic_bpf" does with the kernel, root may do

my @cases = map { [ 2, $_ ], [ 4, $_ ] } 'off', $> == 0 ? 'on' : ();
$t->plan(5 * @cases);

###############################################################################

foreach my $case (@cases) {
	my ($count, $bpf) = @$case;
	my $name = "$count workers, quic_bpf $bpf";

	my $other = SSLSessionCache::Nginx->new($t, 'other', config(
		main => "worker_processes $count; quic_bpf $bpf;",
		cache => 'port=%%PORT_8378%% suspend=retry timeout=20s',
		port => 8444,
		server => 'listen 127.0.0.1:%%PORT_8981_UDP%% quic reuseport;',
		body => '$pid $ssl_session_reused $remote_ssl_session_cache_status',
	));

	is(all_resume($count), $count, "$name, each resumes");

	$redis->forget_calls();
	my @clients = waiting(16);
	foreach my $client (@clients) {
		$client->send(map { $client->datagram() } 1 .. 3);
	}
	$redis->thaw();

	my @resumed = map { $_->get()->{body} =~ /^(\d+) r HIT$/ } @clients;
	my %workers = map { $_ => 1 } @resumed;
	is(@resumed, @clients, "$name, all wait and are resumed");
	cmp_ok(keys %workers, '>', 1, "$name, by more than one");
	is($redis->calls('get'), @clients, "$name, each was looked up once");

	$other->end('TERM');
	unlike($other->error_log(), qr/SSL_do_handshake\(\) failed/,
		"$name, no handshake has failed");
}

###############################################################################

# How many workers have resumed a session, when these are all or it does not come
# to that.  A worker that is not connected to the store yet does not.

sub all_resume {
	my ($count) = @_;

	my %resumed;
	wait_until(sub {
		my ($pid) = h3_get(8981, session => $session)->{body}
			=~ /^(\d+) r HIT$/;
		$resumed{$pid} = 1 if $pid;
		return keys %resumed >= $count;
	});

	return scalar keys %resumed;
}

# So many clients that wait for the store, which is held still.

sub waiting {
	my ($count) = @_;

	my $lookups = $link->lookups() + $count;
	my @clients = map { SSLSessionCache::QUICHello->new(8981,
		session => $session) } 1 .. $count;

	$redis->freeze();
	$_->send($_->datagram()) foreach @clients;
	$link->wait_lookups($lookups);

	return @clients;
}

###############################################################################
