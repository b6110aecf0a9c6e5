#!/usr/bin/perl

# Sentinels make a replica the master, because they are asked to or because the
# master was killed: no handshake fails or waits longer than it may, and within a
# second of that sessions are resumed again.  Otherwise every failover ends with
# full handshakes until somebody restarts the fleet.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

###############################################################################

use warnings;
use strict;

use FindBin;
use List::Util qw/ max /;
use Test::More;
use Time::HiRes qw/ sleep time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Load;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

# Seconds: the timeout, and what a machine may be late by.
use constant LONGEST => 0.3 + 0.4;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::RedisSentinel->new($t);

pair($t,
	store => $redis,
	cache => 'store=fleet',
	listen => 'reuseport',
	main => <<'EOM',
worker_processes 2;

remote_ssl_session_store fleet {
    type     redis;
    sentinel mymaster;
    server   127.0.0.1:8361;
    server   127.0.0.1:8362;
    server   127.0.0.1:8363;
    timeout  300ms;
}
EOM
);
$t->plan(13);

###############################################################################

# a failover that is asked for; the old master is one for a while

my @sessions = sessions(60);
my $load = load($t);

ok($redis->failover(), 'asked for');
ok($redis->wait_replicated(), 'asked for, old master follows');
my $recovered = time();
ok(resume_soon(@sessions), 'asked for, resumed soon');

checks('asked for', $recovered + 1, $load);

# the master is killed, and afterwards all Sentinels but one

@sessions = sessions(60);
$redis->wait_replicated();
$load = load($t);

my $master = $redis->master();
my $killed = time();
$redis->kill9($master);
ok($redis->wait_promoted($master), 'killed, replica promoted');
$recovered = time();
ok(resume_soon(@sessions), 'killed, resumed soon');

checks('killed', $recovered + 1, $load);

my ($first, $second) = $redis->sentinels();
$redis->kill9($_) foreach $first, $second;
is(resumed(@sessions), @sessions, 'one Sentinel, resumed');

# the old master is back, and nobody takes it for one

$redis->revive($master);
is(resumed(sessions(20)), 20, 'old master is back, resumed');

###############################################################################

# Under way.

sub load {
	my ($t) = @_;

	my $load = SSLSessionCache::Load->new($t);

	sleep 0.5;

	return $load;
}

# Its end; what is made from some time on is resumed.

sub checks {
	my ($name, $from, $load) = @_;

	sleep max(0, $from + 1.5 - time());

	my @results = $load->results();
	my @offered = grep { !$_->{made} && $_->{since} > $from } @results;

	is(join("\n", map { $_->{error} // () } @results), '',
		"$name, no handshake fails");
	cmp_ok(max(map { $_->{seconds} // 0 } @results), '<', LONGEST,
		"$name, none waits longer");
	cmp_ok(grep({ $_->{reused} } @offered), '>=', max(20, 0.99 * @offered),
		"$name, resumed then");
}

# Sessions that are stored.

sub sessions {
	my ($count) = @_;

	my @made = map { tls_get(8443, version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3') }
		1 .. $count;

	$redis->wait_id(session_id($_->{session})) foreach @made;

	return @made;
}

# Within a second, all of these.

sub resume_soon {
	my (@sessions) = @_;

	return wait_until(sub { resumed($sessions[0]) }, 1);
}

sub resumed {
	my (@sessions) = @_;

	return scalar grep { tls_get(8444, version => $_->{version},
		session => $_->{session})->{reused} } @sessions;
}

###############################################################################
