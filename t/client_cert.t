#!/usr/bin/perl

# A resumed session keeps the client certificate and what came of verifying it.
# Otherwise a client that has shown its certificate is refused when it comes
# back to another machine.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

certificate($t, $_) foreach 'client', 'stranger';

my ($store) = pair($t,
	cache => 'type=%%STORE%%',
	server => 'ssl_verify_client optional;
		ssl_client_certificate client.crt;',
	body => '$ssl_client_verify $ssl_client_s_dn',
);
$t->plan(14);

###############################################################################

my $dir = $t->testdir();

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	survives($version, "$dir/client", 'SUCCESS CN=client');
	survives($version, undef, 'NONE ');

	# nginx answers 400, and takes the session out of the cache

	my $r = tls_get(8443, version => $version, cert => "$dir/stranger");

	like($r->{response}, qr/ 400 /, "$version, unknown certificate");
}

###############################################################################

sub survives {
	my ($version, $cert, $expected) = @_;

	my $r = tls_get(8443, version => $version, cert => $cert);
	$store->wait_id(session_id($r->{session}));

	is($r->{body}, $expected, "$version, $expected, made");

	$r = tls_get(8444, version => $version, session => $r->{session});

	is($r->{reused}, 1, "$version, $expected, resumed");
	is($r->{body}, $expected, "$version, $expected, after resumption");
}

###############################################################################
