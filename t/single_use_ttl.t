#!/usr/bin/perl

# With single_use=on, a session is resumed where the claim on it outlives it, and
# not on a machine whose claims are shorter than the sessions of another.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my @options = (
	cache => 'type=%%STORE%% timeout=5s single_use=on',
	http => 'ssl_protocols TLSv1.2 TLSv1.3;',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);

my $store = single($t, @options, server => 'ssl_session_timeout 1h;');
SSLSessionCache::Nginx->new($t, 'short',
	config(@options, port => 8444, server => 'ssl_session_timeout 1m;'));
$t->plan(4);

###############################################################################

is(resumed(8444, 8443), 'r HIT', 'a short session, where they are long');
is(resumed(8443, 8444), '. UNUSED', 'a long one, where they are short');
is(resumed(8443, 8443), 'r HIT', 'a long one, where it was made');
is(resumed(8444, 8444), 'r HIT', 'a short one, where it was made');

###############################################################################

sub resumed {
	my ($from, $to) = @_;

	my $session = tls_get($from, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return tls_get($to, version => 'TLSv1.3', session => $session)->{body};
}

###############################################################################
