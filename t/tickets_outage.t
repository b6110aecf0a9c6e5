#!/usr/bin/perl

# A machine that starts while the store is down knows no key of the fleet: it
# makes its own, says so, and takes the fleet's as soon as there are any.  What it
# gave meanwhile goes on resuming there.  No handshake waits for any of it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @options = (
	cache => 'type=%%STORE%% key=cache.key timeout=300ms',
	http => 'remote_ssl_session_tickets on;',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);

seal_key($t, 'cache.key');

my $store = single($t, @options);
$t->plan(15);

###############################################################################

ok(wait_until(sub { $store->count() }), 'a seed is stored');

my $made = made(8443);

$store->stop();

my $other = SSLSessionCache::Nginx->new($t, 'other', config(@options, port => 8444));

my $own = made(8444);

foreach my $version (sort keys %$own) {
	is(offered(8444, $version, $own), 'r TICKET', "$version, a key of its own");
	is(offered(8443, $version, $own), '. TICKET_UNKNOWN', "$version, which nobody else has");
	is(offered(8444, $version, $made), '. TICKET_UNKNOWN', "$version, nor it the others'");
}

ok(wait_until(sub { $other->error_log() =~ /this machine makes its own/ }),
	'it says so');
is(() = $other->error_log() =~ /this machine makes its own/g, 1, 'once');

$store->start();

# The machine that has the fleet's keys puts them back, or, where that of the
# other machine was quicker, takes these: both open what was given before

ok(wait_until(sub { resumed_both() }, 20), 'both have the same keys again');

foreach my $version (sort keys %$own) {
	like(offered(8443, $version, $made), qr/^r TICKET/, "$version, given before the outage");
	like(offered(8444, $version, $own), qr/^r TICKET/, "$version, given by its own key");
}

unlike($t->read_file('error.log'), qr/this machine makes its own/,
	'the other machine had no key of its own');

###############################################################################

sub made {
	my ($port) = @_;

	return { map { $_ => tls_get($port, version => $_)->{session} }
		'TLSv1.2', 'TLSv1.3' };
}

sub offered {
	my ($port, $version, $sessions) = @_;

	return tls_get($port, version => $version, session => $sessions->{$version})->{body};
}

sub resumed_both {
	my ($there, $back) = map { made($_) } 8443, 8444;

	return offered(8444, 'TLSv1.3', $there) eq 'r TICKET'
		&& offered(8443, 'TLSv1.3', $back) eq 'r TICKET';
}

###############################################################################
