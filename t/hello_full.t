#!/usr/bin/perl

# What arrives with a long ClientHello may fill all the room that there is to
# hold it back.  More that comes while its session is looked up is no end of the
# connection: the handshake goes on.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $link = SSLSessionCache::Link->new($t, delay => 0.2);

my $redis = single($t,
	cache => 'port=%%PORT_8378%%', http => 'ssl_protocols TLSv1.2;');
$t->plan(2);

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.2');
$redis->wait_id(session_id($r->{session}));

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.2',
	padding => 24 * 1024, session => $r->{session})->hello();
my $record = pack 'CnnC1000', 23, 0x303, 1000, (0) x 1000;

# the worker finds the first part all at once

my $worker = worker($t);
my $socket = SSLSessionCache::Hello::connected(8443);

kill 'STOP', $worker;
syswrite $socket, $hello . $record x 12;
kill 'CONT', $worker;

select undef, undef, undef, 0.1;
syswrite $socket, $record;

sysread $socket, my $answer, 6;

like(unpack('H*', $answer), qr/^160303....02$/, 'ServerHello');
is($link->lookups(), 1, 'after one lookup');

###############################################################################
