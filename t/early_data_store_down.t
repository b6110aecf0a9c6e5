#!/usr/bin/perl

# A session is claimed for its early data in a store that is dead, stands still,
# or is later than the timeout: then no early data is accepted, no handshake
# fails, and a session from the tier of this machine is resumed without.
# Otherwise a store that is lost lets early data be replayed, or has clients that
# send some fail.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $link = SSLSessionCache::Link->new($t);

my ($store) = pair($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=300ms',
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(14);

###############################################################################

my $count = 3;
my $refused = qr/^full rejected (?:DOWN|TIMEOUT)$/;
my $unclaimed = 'reused rejected LOCAL UNCLAIMED';

ok(back($t), 'accepted before');

my @sessions = made();
$store->freeze();
lost($t, 'frozen', @sessions);
$store->thaw();
ok(back($t), 'thawed, accepted');

@sessions = made();
$link->fault('slow', 1);
lost($t, 'late', @sessions);
$link->fault('none');
ok(back($t), 'in time again, accepted');

@sessions = made();
$store->crash();
lost($t, 'dead', @sessions);

is(tls_get(8443, version => 'TLSv1.3')->{body}, '< >', 'dead, full handshake');

$store->start();
ok(back($t), 'back, accepted');

is(offer_early($t, 8444, $sessions[0]), 'full rejected MISS',
	'back, what was lost is not known');
is(offer_early($t, 8443, $sessions[0]), 'reused accepted LOCAL CLAIMED',
	'back, what was not claimed is on this machine');

my @alerts = $t->read_file('error.log') =~ /exited on signal/g;
is(@alerts, 0, 'no crash');

###############################################################################

# The same sessions where they were made, and on another machine.

sub lost {
	my ($t, $name, @lost) = @_;

	is(join("\n", grep { $_ ne $unclaimed }
		map { offer_early($t, 8443, $_) } @lost), '',
		"$name, resumed without early data");
	is(join("\n", grep { !/$refused/ }
		map { offer_early($t, 8444, $_) } @lost), '',
		"$name, full handshakes on the other machine");
}

sub made {
	my @made = map { tls_get(8443, version => 'TLSv1.3')->{session} }
		1 .. $count;
	$store->wait_id(session_id($_)) foreach @made;

	return @made;
}

# What is made before the store is back is not stored.

sub back {
	my ($t) = @_;

	return wait_until(sub { 2 == grep { my $port = $_;
		my $session = tls_get(8443, version => 'TLSv1.3')->{session};
		wait_until(sub { $store->has_key($store->key(
			session_id($session))) }, 0.2);
		offer_early($t, $port, $session) =~ / accepted .* CLAIMED/;
	} 8443, 8444 }, 20);
}

###############################################################################
