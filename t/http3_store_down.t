#!/usr/bin/perl

# A store that is late, frozen or gone must cost a client of HTTP/3 no more than
# the timeout, and never its connection: its handshake is a full one.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::Wait;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/))
	->has_daemon('gtlsclient');

my $link = SSLSessionCache::Link->new($t);
my $redis = single($t,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=300ms interval=50ms',
	quic => 8980,
	body => '$http3 $ssl_session_reused $remote_ssl_session_cache_status',
);
$t->plan(11);

###############################################################################

my %faults = (
	frozen => [ sub { $redis->freeze() }, sub { $redis->thaw() } ],
	late => [ sub { $link->fault('slow', 0.5) }, sub { $link->fault('none') } ],
	gone => [ sub { $redis->crash() }, sub { $redis->start() } ],
);

foreach my $fault (qw/ late frozen gone /) {
	my ($begin, $end) = @{$faults{$fault}};

	ok(wait_until(sub { quic_get($t, 8980) eq 'h3 r HIT' }), "resumed before");
	$begin->();

	my $before = time();
	like(quic_get($t, 8980), qr/^h3 \. (?:DOWN|TIMEOUT)$/,
		"$fault, full handshake");
	cmp_ok(time() - $before, '<', 3, "$fault, in time");

	$end->();
}

ok(wait_until(sub { quic_get($t, 8980) eq 'h3 r HIT' }), 'resumed after');
unlike($t->read_file('error.log'), qr/SSL_do_handshake\(\) failed/,
	'no handshake has failed');

###############################################################################
