#!/usr/bin/perl

# A store that answers a PING, but leaves a connection unanswered once a session
# was stored over it, as a Redis that has stopped writes, holds few handshakes
# up.  Otherwise nearly every resumption would wait for as long as that lasts:
# whenever a new connection is made, it would pass for a healthy store again.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t,
	cache => 'timeout=500ms',
	body => '$remote_ssl_session_cache_status $remote_ssl_session_cache_time',
);
$t->plan(6);

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer() =~ /^HIT/ }), 'resumed before');

$redis->command('CLIENT', 'PAUSE', 8000, 'WRITE');

my $end = time() + 7;
my (@waiting, @got);

while (time() < $end || @waiting) {
	if (time() < $end) {
		push @waiting, tls_hello(8443, version => 'TLSv1.2',
			session => $r->{session});
		tls_get(8443, version => 'TLSv1.2');
	}

	my @still;

	foreach my $client (@waiting) {
		if ($client->answered()) {
			push @got, eval { $client->get('/') } // {};
		} else {
			push @still, $client;
		}
	}

	@waiting = @still;
	sleep 0.03;
}

my @bodies = map { $_->{body} // 'failed' } @got;
my @waited = grep { / ([\d.]+)$/ && $1 > 0.1 } @bodies;

cmp_ok(scalar @got, '>', 50, 'handshakes');
is(grep({ $_ eq 'failed' } @bodies), 0, 'none fails');
cmp_ok(scalar @waited, '>', 0, 'the first ones wait');
cmp_ok(@waited / @got, '<', 0.3, 'few wait')
	or diag(scalar @waited, ' of ', scalar @got);

$redis->command('CLIENT', 'UNPAUSE');
ok(wait_until(sub { offer() =~ /^HIT/ }), 'resumed after');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // '';
}

###############################################################################
