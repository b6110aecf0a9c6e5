#!/usr/bin/perl

# The end of an outage is logged at the level of its beginning, and the store is
# named as it is configured.  Otherwise who logs errors alone, as Debian does,
# finds a store that is down and never up again, at an address that he does not
# know.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server');

my $redis = SSLSessionCache::Redis->new($t);

single($t, store => $redis, cache => 'addr=localhost');
$t->plan(5);

###############################################################################

ok(wait_until(sub { lines($t) == 1 }), 'up');
$redis->stop();
ok(wait_until(sub { lines($t) == 2 }), 'down');
$redis->start();
ok(wait_until(sub { lines($t) == 3 }), 'up again');

is(join(' ', map { /\[(\w+)\].*?: .*? is (\w+)/ } lines($t)),
	'notice up error down error up', 'levels');

my $port = $redis->{port};
my $server = "redis localhost:$port (127.0.0.1:$port)";
is(scalar(grep { /: \Q$server\E is / } lines($t)), 3, 'named');

###############################################################################

# Another reason, of which there may be one, is left out.

sub lines {
	my ($t) = @_;

	return grep { !/ is still down/ }
		$t->read_file('error.log') =~ /^(.*sslsessioncache: redis .* is .*)/mg;
}

###############################################################################
