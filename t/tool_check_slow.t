#!/usr/bin/perl

# A store that answers later than nginx waits for it is told by "check", and one that
# does so now and then is warned of.  Otherwise it works in every other test, and
# each client waits in vain.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Redis;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(6);
my $redis = SSLSessionCache::Redis->new($t);
my $link = SSLSessionCache::Link->new($t, delay => 0.005);
my $port = 'port=' . port(8378);

###############################################################################

my $r = tool('check', $port, 'timeout=5ms');

is($r->{status}, 1, 'too slow');
like($r->{out}, qr/^  failure  200 lookups took .*; of 5\.00 ms\n *-> most lookups are given up/m,
	'too slow, told');

$r = tool('check', $port, 'timeout=18ms');

is($r->{status}, 0, 'slow');
like($r->{out}, qr/^  warning  200 lookups took .*; of 18 ms\n *-> some lookups/m,
	'slow is warned of');

$r = tool('check', $port, 'timeout=2s');

is($r->{status}, 0, 'fast enough');
like($r->{out}, qr/^  ok       200 lookups took 1\d ms .*; of 2\.0 s$/m, 'fast enough, told');

###############################################################################
