#!/usr/bin/perl

# With "master_process off", a reload that takes the directive out leaves the
# old configuration's clients and its connection to the store where they were.
# What happens to the one must not cut off the others.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @options = (main => 'master_process off;', body => 'ok');
my $redis = single($t, @options);
$t->plan(4);

###############################################################################

ok(wait_until(sub { $redis->clients() }), 'connected');

my $client = tls_hello(8443)->handshake();
like(request(), qr/ 200 /, 'served');

$t->write_file_expand('nginx.conf',
	config(@options) =~ s/remote_ssl_session_cache.*;//r)->reload();
ok(wait_until(sub { 2 == (() = $t->read_file('error.log') =~ /event method/g) }),
	'reloaded');

$redis->stop();
request();
like(request(), qr/ 200 /, 'still served');

###############################################################################

sub request {
	$client->write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

	return eval { $client->read() } // $@;
}

###############################################################################
