#!/usr/bin/perl

# A server with OCSP stapling gives its response in full handshakes, and resumes
# sessions of another such server, also for clients that ask for a response.
# Otherwise stapling and a shared session cache could not be had together.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Authority->new($t, 'authority')->issue('localhost')
	->respond('localhost', 'response.der');

my ($redis) = pair($t,
	http => 'ssl_stapling on;
		ssl_stapling_file response.der;',
	body => 'reused:$ssl_session_reused',
);
$t->plan(14);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $port (8443, 8444) {
		my $output = client($t, $port, $version);

		like($output, qr/OCSP Response Status: successful/,
			"$version, $port, stapled");
		like($output, qr/reused:\./, "$version, $port, answered");
	}

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	my $output = client($t, 8444, $version,
		'-sess_in', write_session($t, 'session', $r->{session}));

	like($output, qr/^Reused, /m, "$version, resumed");
	unlike($output, qr/OCSP Response Status/,
		"$version, resumed, nothing to staple");
	like($output, qr/reused:r/, "$version, resumed, answered");
}

###############################################################################

# What a client prints that asks for a response.

sub client {
	my ($t, $port, $version, @options) = @_;

	my $flag = { 'TLSv1.2' => '-tls1_2', 'TLSv1.3' => '-tls1_3' }->{$version};
	my $command = "openssl s_client $flag -status -servername localhost "
		. "-ign_eof @options -connect 127.0.0.1:" . port($port);

	return scalar `printf 'GET / HTTP/1.0\\r\\n\\r\\n' \\
		| timeout 10 $command 2>&1`;
}

###############################################################################
