#!/usr/bin/perl

# A Redis that cannot write its snapshots takes no sessions, and answers a PING
# with that error; what it has is resumed all the same, also by workers that
# connect meanwhile.  Otherwise a full disk costs all resumptions from the next
# reload on.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# root may write into any directory but one that is gone

my $dir = $t->testdir() . '/snapshots';
mkdir $dir or die "mkdir() failed: $!\n";

my $redis = SSLSessionCache::Redis->new($t, args => [
	'--save', '3600 1000000', '--dir', $dir,
	'--stop-writes-on-bgsave-error', 'yes' ]);

my @options = (cache => 'interval=50ms');
single($t, store => $redis, @options);
$t->plan(9);

###############################################################################

my $r = full(8443);
my @clients;
wait_until(sub { $redis->has_key($redis->key(session_id($r->{session}))) });
@clients = $redis->clients();

rmdir $dir or die "rmdir() failed: $!\n";
$redis->command('BGSAVE');
wait_until(sub { !eval { $redis->command('PING') } });
like($@, qr/^redis: MISCONF /, 'the snapshot has failed');

# a worker that is connected

is(offer(8443, $r), 1, 'resumed');
full(8443);
ok(wait_until(sub { log_of($t, 'error.log')
	=~ /refuses commands, .*: MISCONF / }), 'told in the log');

my $calls = pings();
ok(wait_until(sub { pings() > $calls + 2 }), 'probed');
is(offer(8443, $r), 1, 'resumed after the probes');
is(join(' ', $redis->clients()), join(' ', @clients), 'same connection');

# one that connects now

SSLSessionCache::Nginx->new($t, 'other', config(port => 8444, @options));

ok(wait_until(sub { offer(8444, $r) }), 'another worker, resumed');
like(log_of($t, 'other.log'), qr/refuses commands, .*: MISCONF /,
	'another worker, told in the log');
unlike(log_of($t, 'error.log') . log_of($t, 'other.log'), qr/ is down/,
	'never down');

###############################################################################

# Calls that were refused count as well.

sub pings {
	return $redis->command('INFO', 'commandstats')
		=~ /^cmdstat_ping:.*rejected_calls=(\d+)/m ? $1 : 0;
}

sub full {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2');
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

sub log_of {
	my ($t, $name) = @_;

	return $t->read_file($name);
}

###############################################################################
