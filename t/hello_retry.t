#!/usr/bin/perl

# A client whose key share the server does not take says hello twice, and its
# session is looked up twice: the store is asked once, and the client is
# resumed all the same.

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

my ($redis) = pair($t, http => 'ssl_ecdh_curve secp384r1;');
$t->plan(6);

###############################################################################

my $groups = 'P-256:P-384';
my @client = (version => 'TLSv1.3', groups => $groups);

my $r = tls_get(8443, @client);
ok($redis->wait_id(session_id($r->{session})), 'stored');

$redis->forget_calls();
is(tls_get(8444, @client, session => $r->{session})->{reused}, 1, 'reused');
is($redis->calls('get'), 1, 'one lookup');

# it is a hello that is retried

my $session = write_session($t, 'session', $r->{session});
my $output = `echo | timeout 10 openssl s_client -tls1_3 -groups $groups -msg \\
	-servername localhost -sess_in $session \\
	-connect 127.0.0.1:${\port(8444)} 2>&1`;

like($output, qr/^Reused, TLSv1\.3/m, 'reused by s_client');
is(() = $output =~ /^>>> .*ClientHello/mg, 2, 'two hellos');

# unknown to the store: a miss, twice

$redis->clear();
is(tls_get(8444, @client, session => $r->{session})->{reused}, 0, 'unknown');

###############################################################################
