#!/usr/bin/perl

# The list of a Redis's clients names the machine and the worker at the other
# end of each connection.  Otherwise an operator who finds too many connections,
# or one that is slow, has to look for ports on all machines.

###############################################################################

use warnings;
use strict;

use FindBin;
use POSIX;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t, main => 'worker_processes 2;');
$t->plan(2);

###############################################################################

# nginx has the name of the machine in lower case

my $host = lc((POSIX::uname())[1]) =~ s/[^!-~]/-/gr;
my @expected = map { substr("nginx-$host", 0, 62) . "-$_" } 0, 1;

wait_until(sub { names() == 2 });
is_deeply([ names() ], \@expected, 'machine and worker');

$redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
ok(wait_until(sub { "@{[ names() ]}" eq "@expected" }), 'and once more');

###############################################################################

sub names {
	my @names = sort map { / name=(\S+)/ } split /\n/,
		$redis->command('CLIENT', 'LIST');

	return @names;
}

###############################################################################
