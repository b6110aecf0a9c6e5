#!/usr/bin/perl

# A session in a ticket of the fleet's keys lies in no store, and is not claimed
# there: it is resumed on each machine, and no early data of it is accepted.
# Otherwise that could be replayed as often as one likes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

seal_key($t, 'cache.key');

my ($store) = pair($t,
	cache => 'type=%%STORE%% timeout=5s key=cache.key',
	http => 'remote_ssl_session_tickets on;',
	server => 'ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(5);

###############################################################################

my $session;

ok(wait_until(sub { $session = tls_get(8443, version => 'TLSv1.3')->{session};
	tls_get(8444, version => 'TLSv1.3', session => $session)->{reused} }, 20),
	'tickets cross machines');
like(offer_early($t, $_, $session), qr/^reused rejected TICKET UNCLAIMED$/,
	"without early data, $_") foreach 8443, 8444, 8444;
is(scalar grep({ /\+$/ } $store->keys()), 0, 'no claim');

###############################################################################
