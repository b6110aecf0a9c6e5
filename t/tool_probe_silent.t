#!/usr/bin/perl

# A server that accepts connections and says nothing, or hangs up, does not keep the
# probe of the tool from the others, and is named.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/ time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();

pair($t, cache => 'type=%%STORE%% timeout=5s');
$t->plan(6);

# Accepted by the system alone

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . port(8445),
	Listen => 10, ReuseAddr => 1) or die "Can't listen: $!\n";
my ($a, $b, $silent) = map { '127.0.0.1:' . port($_) } 8443 .. 8445;

###############################################################################

my $begin = time();
my $r = tool('probe', '--insecure', '--name', 'localhost', '--timeout', '300ms', $silent, $a, $b);

is($r->{status}, 1, 'one is silent');
cmp_ok(time() - $begin, '<', 8, 'not waited for for long');
like($r->{out}, qr/^\Q$silent\E  - +has no handshake: timed out$/m, 'a row of its own');
like($r->{out}, qr!^\Q$b\E  TLS 1\.3 stateful  3/3 reused, !m, 'the others are tried');
like($r->{out}, qr/\n\n\Q$silent has no handshake: timed out\E\n\z/, 'which one');

# No TLS

my $store = '127.0.0.1:' . port(8379);

like(tool('probe', '--insecure', '--timeout', '1s', $store)->{out},
	qr/^\Q$store\E has no handshake: /m, 'no TLS');

###############################################################################
