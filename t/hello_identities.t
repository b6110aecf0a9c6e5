#!/usr/bin/perl

# A ClientHello has room for 1,700 tickets, and OpenSSL asks for each of them.
# A client that offers so many gets its handshake, and the store no more than
# four questions of it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t,
	http => 'ssl_protocols TLSv1.2 TLSv1.3;', body => '');
$t->plan(11);

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.3');
ok($redis->wait_id(session_id($r->{session})), 'store is up');

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.3');

foreach my $case ([ 1, 1, 1 ], [ 4, 4, 4 ], [ 5, 4, 4 ], [ 300, 4, 4 ],
	[ 1700, 0, 4 ])
{
	my ($count, $least, $most) = @$case;

	$redis->forget_calls();
	my @tickets = map { pack 'Nx28', $_ } 1 .. $count;
	ok(is_answered(8443, $hello->offering(@tickets)),
		"$count tickets, answered");

	my $calls = $redis->calls('get');
	ok($least <= $calls && $calls <= $most, "$count tickets, lookups")
		or diag("$calls lookups");
}

###############################################################################
