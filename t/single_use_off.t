#!/usr/bin/perl

# With single_use=off early data is accepted as often as it is offered, as before
# there were claims, and nothing lies in the store but sessions.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = pair($t,
	cache => 'type=%%STORE%% single_use=off timeout=5s',
	server => 'ssl_early_data on;
		location /large { return 200 "' . 'x' x 4000 . '"; }',
	body => '<$ssl_early_data $remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);
$t->plan(7);

###############################################################################

my $session = tls_get(8443, version => 'TLSv1.3')->{session};
$store->wait_id(session_id($session));

like(offer_early($t, $_, $session), qr/^reused accepted (?:1 )?HIT$/,
	"accepted on $_") foreach 8443, 8444, 8443, 8444;

my $flight = early_flight($t, $session, '/large');
cmp_ok(length answer_to($_, $flight), '>', 4000, "replayed on $_")
	foreach 8443, 8444;
is(scalar grep({ /\+$/ } $store->keys()), 0, 'no claim');

###############################################################################
