#!/usr/bin/perl

# A client whose key share a server with early data does not take says hello twice,
# and OpenSSL tells of the end of a handshake between the two.  Its session is
# resumed with the second one, without early data, and the claim on it is given
# back.  Otherwise such clients would never be resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my %options = (
	cache => 'type=%%STORE%% timeout=5s',
	server => 'ssl_early_data on;',
	http => 'ssl_ecdh_curve secp384r1;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);

my ($store) = pair($t, %options);
SSLSessionCache::Nginx->new($t, "once$_", config(%options, port => $_,
	cache => 'type=%%STORE%% timeout=5s single_use=on')) foreach 8445, 8446;
$t->plan(12);

###############################################################################

my $session = tls_get(8443, version => 'TLSv1.3')->{session};
my $key = $store->key(session_id($session));

ok($store->wait_id(session_id($session)), 'stored');
is(offer_early($t, 8444, $session, -groups => 'P-256:P-384'),
	'reused rejected HIT', 'resumed without early data');
ok(wait_until(sub { !$store->has_key(claim_key($key)) }), 'given back');
is(offer_early($t, 8444, $session, -groups => 'P-384'),
	'reused accepted HIT CLAIMED', 'accepted with one hello');
ok($store->has_key(claim_key($key)), 'claimed');
is(offer_early($t, 8443, $session, -groups => 'P-256:P-384'),
	'reused rejected HIT', 'resumed again');

# a client that has no early data

my @client = (version => 'TLSv1.3', groups => 'P-256:P-384');

is(tls_get($_, @client, session => $session)->{body}, '<HIT >',
	"no early data, $_") foreach 8443, 8444;

# resumed once at all

my $r = tls_get(8445, @client);
$store->wait_id(session_id($r->{session}));

my $next = tls_get(8446, @client, session => $r->{session});
is($next->{body}, '<HIT >', 'once, resumed');
like(tls_get(8445, @client, session => $r->{session})->{body},
	qr/^<(?:MISS|USED) >$/, 'once, not again');
$store->wait_id(session_id($next->{session}));
is(offer_early($t, 8445, $next->{session}, -groups => 'P-256:P-384'),
	'reused rejected HIT', 'once, without early data');
like(offer_early($t, 8446, $next->{session}, -groups => 'P-384'),
	qr/^full rejected (?:MISS|USED)$/, 'once, not again with early data');

###############################################################################
