#!/usr/bin/perl

# With the store away, at the start or later, every handshake is a full one and
# none fails; when it is back, so is resumption, without a reload.  The log
# tells of each change once.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
$store->stop();

my (undef, $other) = pair($t, store => $store, cache => 'type=%%STORE%%');
$t->plan(16);

###############################################################################

my $count = 20;
my @returns;

is(failures(), 0, 'absent at start');

$store->start();
ok(back(), 'back after it was absent');

# killed while lookups wait

my @made = map { full() } 1 .. $count;
$store->wait_id(session_id($_->{session})) foreach @made;

$store->freeze();
my @waiting = map { tls_hello(8444, version => 'TLSv1.2',
	session => $_->{session}) } @made;
select undef, undef, undef, 0.1;

is(grep({ $_->answered() } @waiting), 0, 'lookups wait');

$store->crash();
my @got = map { my $c = $_; eval { $c->get('/') } // {} } @waiting;

is(grep({ defined $_->{body} } @got), $count, 'killed, handshakes');
is(grep({ $_->{reused} } @got), 0, 'killed, full handshakes');

is(failures(), 0, 'away after it was killed');

$store->start();
ok(back(), 'back after it was killed');

$store->stop();
is(failures(), 0, 'away after it was stopped');

$store->start();
ok(back(), 'back after it was stopped');

# a busy machine may take longer, but not each time

cmp_ok((sort { $a <=> $b } @returns)[0], '<', 1, 'back within a second');

# on a busy machine there is time for another attempt, which fails for another reason

foreach my $log (map { s/^.* is still down: .*\n//mgr }
	$t->read_file('error.log'), $other->error_log())
{
	my @changes = $log =~
		/sslsessioncache: .*?\b(down|unavailable|up|available)\b/g;

	is(grep({ /down|unavailable/ } @changes), 3, 'lines of its loss');
	is(grep({ !/down|unavailable/ } @changes), 3, 'lines of its return');
	is(grep({ /sslsessioncache: / && !/\[(?:debug|warn)\]|suspended|module version/ }
		split /
/, $log), 6, 'no other lines')
		or diag(grep { /sslsessioncache/ } split /^/, $log);
}

###############################################################################

# Handshakes that fail, of those that make a session and those that offer one.

sub failures {
	my @made = map { full() } 1 .. $count;
	my @offered = map { offer($_) } @made;

	return grep { !defined $_->{body} } @made, @offered;
}

# Whether a session made on one is resumed on the other, and when.  What is lost
# within a second would be told in one line.

sub back {
	my $begin = time();
	my $reused = wait_until(sub { offer(full())->{reused} });
	push @returns, time() - $begin;

	select undef, undef, undef, 1.1;

	return $reused;
}

sub full {
	return tls_get(8443, version => 'TLSv1.2');
}

sub offer {
	my ($r) = @_;

	return tls_get(8444, version => 'TLSv1.2', session => $r->{session});
}

###############################################################################
