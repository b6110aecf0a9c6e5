#!/usr/bin/perl

# The probe of the tool shows a client certificate where it is given one, and
# sessions with it are resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();

certificate($t, 'client');
pair($t,
	cache => 'type=%%STORE%% timeout=5s',
	http => 'log_format client "$ssl_session_reused $ssl_client_verify $ssl_client_s_dn";',
	server => 'ssl_verify_client on; ssl_client_certificate client.crt;
		ssl_early_data on; access_log client.log client;',
);
$t->plan(5);

my @servers = map { '127.0.0.1:' . port($_) } 8443, 8444;
my $client = $t->testdir() . '/client';
my @probe = ('probe', '--insecure', '--name', 'localhost', '--count', 1);

###############################################################################

my $r = tool(@probe, '--cert', "$client.crt", '--cert-key', "$client.key", @servers);

is($r->{status}, 0, 'all resumes');
like($t->read_file('client.log'), qr/\A(?:r SUCCESS CN=client\n)+\z/, 'with its certificate');

$r = tool(@probe, '--cert', "$client.crt", '--cert-key', $t->testdir() . '/localhost.key', @servers);

is($r->{status}, 2, 'another key');
like($r->{err}, qr!^ssl-session-cache: cannot use ".*/localhost\.key": key values mismatch$!,
	'said so');
is(tool(@probe, '--cert', "$client.crt", @servers)->{status}, 2, 'no key');

###############################################################################
