#!/usr/bin/perl

# A store that answers the lookup of a session, and not the claim on it or with an
# error: the session is resumed, without early data, and no client waits longer
# than it may.  Otherwise a store that takes no writes fails whoever sends early
# data, or accepts what nobody has kept from being replayed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Misbehaving;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

my @errors = store_type() eq 'redis'
	? ('-OOM command not allowed', '-READONLY replica', '-NOPERM no permissions',
		'-MOVED 1 127.0.0.1:1', '-LOADING dataset', '-ERR unknown',
		'-NOAUTH Authentication required.')
	: ('SERVER_ERROR out of memory', 'CLIENT_ERROR bad command', 'ERROR',
		'CLIENT_ERROR unauthenticated');
my @others = store_type() eq 'redis'
	? ("\$1\r\n1\r\n", '+QUEUED', '*0', '+PONG', ':1', '!')
	: ('HD', 'DELETED', 'OK', 'VERSION 1.6.18', 'END', '!');
my @cut = ([ 'close', 0 ], [ 'reset', 0 ], [ 'close', 3 ], [ 'reset', 3 ]);

my @options = (
	cache => 'type=%%STORE%% interval=10ms timeout=5s',
	server => 'ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data $remote_ssl_session_cache_time>',
);

single($t, @options, store => $store);
SSLSessionCache::Nginx->new($t, 'impatient', config(@options, port => 8444,
	cache => 'type=%%STORE%% interval=10ms timeout=500ms'));

$t->plan(2 * (@errors + @others + @cut) + 7);

###############################################################################

my $refused = qr/^reused rejected HIT UNCLAIMED (\d\.\d+)$/;

foreach my $error (@errors) {
	is(offered($t, 'instead', "$error\r\n"), 'at once', "$error, without early data");
	is(offered($t), 'accepted', "$error, accepted then");
}

foreach my $bytes (@others) {
	is(offered($t, 'instead', "$bytes\r\n"), 'at once', "$bytes, without early data");
	is(offered($t), 'accepted', "$bytes, accepted then");
}

foreach my $cut (@cut) {
	is(offered($t, @$cut), 'at once', "@$cut, without early data");
	is(offered($t), 'accepted', "@$cut, accepted then");
}

# no answer in time

ok(wait_until(sub { offered($t, undef, undef, 8444) eq 'accepted' }), 'patience');

my $session = made();
$store->fault('add', 'late', 3);
like(offer_early($t, 8444, $session), qr/^reused rejected HIT UNCLAIMED 0\.[5-9]/,
	'late, without early data, after the timeout');
like(offer_early($t, 8444, $session), qr/^full rejected (?:DOWN|TIMEOUT)/,
	'late, nor with the next one');
ok(wait_until(sub { offered($t, undef, undef, 8444) eq 'accepted' }),
	'late, accepted then');

# a handshake goes on without a session that is not there, and does not wait for
# the claim on it, which is given back once the store has granted it

$session = made();

my $id = session_id($session);
my $unknown = join '', map { chr rand 256 } 1 .. length $id;
my $flight = early_flight($t, $session) =~ s/\Q$id\E/$unknown/r;
my $key = claim_key(SSLSessionCache::Store->key($unknown));

$store->fault('add', 'late', 1);
like(answer_to(8443, $flight, 0.5), qr/^\x16\x03\x03..\x02/s,
	'unknown, answered before its claim');
ok(wait_until(sub { $store->calls('delete') }), 'unknown, given back');
is($store->tell('value', $key), '', 'unknown, not claimed');

###############################################################################

# What becomes of early data where the claim on its session meets a fault.

sub offered {
	my ($t, $fault, $argument, $port) = @_;

	my $session = made();

	$store->fault('add', $fault, $argument) if defined $fault;

	my $got = offer_early($t, $port // 8443, $session);

	return 'accepted' if $got =~ /^reused accepted HIT CLAIMED /;
	return $got =~ $refused && $1 < 4 ? 'at once' : $got;
}

# What is made while a connection is broken is not stored.

sub made {
	my $session;

	wait_until(sub {
		$session = tls_get(8443, version => 'TLSv1.3')->{session};
		my $key = SSLSessionCache::Store->key(session_id($session));
		return wait_until(sub { $store->tell('value', $key) }, 0.5);
	});

	return $session;
}

###############################################################################
