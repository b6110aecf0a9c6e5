#!/usr/bin/perl

# With a key, an id that no machine of ours has minted costs no lookup: neither a
# forged one, nor the random id that many TLS 1.3 clients send for compatibility,
# nor one of another site.  Without it anybody can have the store asked, and each
# handshake held up for it, as often as he likes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $key = seal_key($t, 'cache.key');

my $redis = single($t, cache => 'key=cache.key', body => '');
$t->plan(21);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $session = tls_get(8443, version => $version)->{session};
	my $id = session_id($session);
	$redis->wait_id(seal_name($key, $id));

	my $random = random(32);

	asks($version, $session, $random, 0, 'random id');
	asks($version, $session, $id ^ ("\0" x 31 . "\1"), 0, 'tag changed');
	asks($version, $session, $id ^ "\1" . "\0" x 31, 0, 'seed changed');
	asks($version, $session, substr($id, 0, 16) . substr($random, 0, 16), 0,
		'tag guessed');

	# the other way round: an id that is minted with the key is looked up

	asks($version, $session, minted(), 1, 'minted');
	asks($version, $session, $id, 1, 'minted and stored');
}

# a client of TLS 1.3 with nothing to resume sends a random session id

$redis->forget_calls();
tls_get(8443, version => 'TLSv1.3') foreach 1 .. 10;
is($redis->calls('get'), 0, 'compatibility id');

# many at once: those that could be ours are looked up, and four at most

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.3');
my @forged = map { random(32) } 1 .. 300;

my @minted = map { minted() } 1 .. 6;

foreach my $case (
	[ 'forged', 0, @forged ],
	[ 'forged, one minted', 1, @forged, $minted[0] ],
	[ 'minted', 4, @minted ],
	[ 'forged and minted', 4, @forged, @minted ])
{
	my ($name, $expected, @tickets) = @$case;

	$redis->forget_calls();
	ok(is_answered(8443, $hello->offering(@tickets)), "$name, answered");
	is($redis->calls('get'), $expected, "$name, lookups");
}

###############################################################################

# Offers a session under another id; how many commands that makes before the
# new session is stored.

sub asks {
	my ($version, $session, $id, $expected, $name) = @_;

	my $old = session_id($session);
	$session =~ s/\Q$old\E/$id/;

	$redis->forget_calls();
	my $r = tls_get(8443, version => $version, session => $session);

	$redis->wait_id(seal_name($key, session_id($r->{session})));
	is($redis->calls('get') + $redis->calls('delete'), $expected,
		"$version, $name") or diag($r->{error});
}

sub minted {
	return seal_id($key, random(15));
}

sub random {
	my ($length) = @_;

	return join '', map { chr rand 256 } 1 .. $length;
}

###############################################################################
