#!/usr/bin/perl

# A client that sends the end of its ClientHello just before nginx gives it up
# leaves no time for a lookup.  The store is not asked: that such a client would
# not wait for the answer says nothing of the store, and has no other client do
# without it.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

# each way takes a quarter of the timeout

my $link = SSLSessionCache::Link->new($t, delay => 0.25);
my $store = single($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=1s interval=1s',
	server => 'client_header_timeout 3s;',
	body => '$remote_ssl_session_cache_status',
);
$t->plan(4);

###############################################################################

my $session = tls_get(8443, version => 'TLSv1.2')->{session};
$store->wait_id(session_id($session));
is(offer()->{body}, 'HIT', 'a late store, and in time');

$store->forget_calls();

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.2',
	session => $session)->hello();
my @sockets = map { SSLSessionCache::Hello::connected(8443) } 1 .. 12;

syswrite $_, substr($hello, 0, -1) foreach @sockets;
select undef, undef, undef, 2.3;
syswrite $_, substr($hello, -1) foreach @sockets;

my @answers = map { sysread $_, my $byte, 1; $byte } @sockets;

is(join('', @answers), "\x16" x 12, 'slow clients are answered');
is($store->calls('get'), 0, 'without the store');
is(offer()->{body}, 'HIT', 'which others ask');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2', session => $session);
}

###############################################################################
