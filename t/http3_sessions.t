#!/usr/bin/perl

# A browser comes over TCP first, is told of HTTP/3, and comes back over QUIC,
# maybe to another machine, and maybe over TCP again: its session goes with it,
# in clear and sealed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http_v3/);

certificate($t, 'localhost', rsa => 1);
my $key = seal_key($t, 'cache.key');

my %conf = (
	quic => 8980,
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);

my ($redis) = pair($t, %conf);
SSLSessionCache::Nginx->new($t, 'sealed', config(%conf,
	cache => 'key=cache.key', port => 8445, quic => 8982));
SSLSessionCache::Nginx->new($t, 'other_sealed', config(%conf,
	cache => 'key=cache.key', port => 8446, quic => 8983));
$t->plan(12);

###############################################################################

my $found = quic_waits($t) ? 'r HIT' : '. MISS';

foreach my $case ([ 'clear', 8443, 8980 ], [ 'sealed', 8445, 8982 ]) {
	my ($name, $tcp, $quic) = @$case;

	my $made = h3_get($quic);
	is($made->{body}, '. ', "$name, made over QUIC");

	my $r = tls_get($tcp, version => 'TLSv1.3');
	ok($redis->wait_id($name eq 'sealed' ? seal_name($key, $_) : $_),
		"$name, stored") foreach $made->{session}{ticket},
			session_id($r->{session});

	is(h3_get($quic + 1, session => $r->{session})->{body}, $found,
		"$name, from TCP to QUIC");
	is(h3_get($quic + 1, session => $made->{session})->{body}, $found,
		"$name, from QUIC to QUIC");
	is(tls_get($tcp + 1, version => 'TLSv1.3', session => tcp_session(
		$made->{session}, $r->{session}))->{body}, 'r HIT',
		"$name, from QUIC to TCP");
}

###############################################################################
