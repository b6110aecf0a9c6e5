#!/usr/bin/perl

# With single_use=on nobody can say of a session that it was not used, where the
# store is away: full handshakes, also of what the tier of the machine has.  None
# fails; and with the store back, what was not used is resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $link = SSLSessionCache::Link->new($t);

my ($store) = pair($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=300ms single_use=on',
	server => 'ssl_session_cache shared:SSL:1m;',
	body => '$remote_ssl_session_cache_status',
);
$t->plan(12);

###############################################################################

my $count = 4;

ok(back(), 'resumed before');

my @sessions = made();
$store->freeze();
lost('frozen', @sessions);
$store->thaw();
ok(back(), 'thawed, resumed');

@sessions = made();
$link->fault('slow', 1);
lost('late', @sessions);
$link->fault('none');
ok(back(), 'in time again, resumed');

@sessions = made();
$store->crash();
lost('dead', @sessions);

# TLS 1.2 has the tier of this machine, as ever

my $r = tls_get(8443, version => 'TLSv1.2');
is(tls_get(8443, version => 'TLSv1.2', session => $r->{session})->{body},
	'LOCAL', 'dead, TLSv1.2 on this machine');

$store->start();
ok(back(), 'back, resumed');
is(offer(8443, $sessions[0]), '1 LOCAL', 'back, what was not used');

###############################################################################

sub lost {
	my ($name, @lost) = @_;

	foreach my $port (8443, 8444) {
		is(join("\n", grep { !/^0 (?:DOWN|TIMEOUT)$/ }
			map { offer($port, $_) } @lost), '',
			"$name, full handshakes on $port");
	}
}

sub offer {
	my ($port, $session) = @_;

	my $r = tls_get($port, version => 'TLSv1.3', session => $session);

	return $r->{error} // "$r->{reused} $r->{body}";
}

sub made {
	my @made = map { tls_get(8443, version => 'TLSv1.3')->{session} }
		1 .. $count;
	$store->wait_id(session_id($_)) foreach @made;

	return @made;
}

# What is made before the store is back is not stored.

sub back {
	return wait_until(sub { 2 == grep { my $port = $_;
		my $session = tls_get(8443, version => 'TLSv1.3')->{session};
		wait_until(sub { $store->has_key($store->key(
			session_id($session))) }, 0.2);
		offer($port, $session) =~ /^1/;
	} 8443, 8444 }, 20);
}

###############################################################################
