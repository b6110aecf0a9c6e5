#!/usr/bin/perl

# A store that comes back with another password is a store that is down, until
# it wants the configured one again, and says so in the log.  Otherwise nobody
# would know why it is not used, though it runs.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t, password => 'user:secret');

single($t, store => $store, cache => 'type=%%STORE%% auth=user:secret');
$t->plan(8);

###############################################################################

my $r = full();
is(offer($r), 1, 'resumed');

restart('user:other');

is(join(' ', map { back() } 1 .. 10), join(' ', (0) x 10),
	'another password, full handshakes');
is($store->count(), 0, 'another password, nothing is stored');
ok(wait_until(sub { told($t) }), 'the reason is told');

# at most one line a second, as for others

select undef, undef, undef, 2.5;
is(scalar(my @told = told($t)), 1, 'once');

restart('user:secret');

ok(wait_until(sub { back() == 1 }), 'resumed when it is back');

my $log = $t->read_file('error.log');

is(() = $log =~ /sslsessioncache: .* is down/g, 1, 'told in the log once');
unlike($log, qr/other|secret/, 'passwords are not shown');

###############################################################################

sub told {
	my ($t) = @_;

	return $t->read_file('error.log')
		=~ /sslsessioncache: .* is still down: (?:rejected|not auth).*$/mg;
}

sub restart {
	my ($password) = @_;

	$store->stop();
	$store->{password} = $password;
	$store->start();
}

###############################################################################

sub back {
	return offer(tls_get(8443, version => 'TLSv1.2'));
}

sub full {
	my $r = tls_get(8443, version => 'TLSv1.2');
	$store->wait_id(session_id($r->{session}));

	return $r;
}

# -1 of a handshake that failed.

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused} // -1;
}

###############################################################################
