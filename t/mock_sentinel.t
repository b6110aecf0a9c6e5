#!/usr/bin/perl

# The Sentinels that tests make up name a master, and tell of another, as real
# ones do.  Otherwise what passes here follows no failover of a user.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Sentinel;
use SSLSessionCache::RespClient;

###############################################################################

my $t = Test::Nginx->new();

my $sentinel = SSLSessionCache::Sentinel->new($t, ports => [ 8361, 8362 ],
	masters => { mymaster => [ '127.0.0.1', 6379 ] });

$t->plan(16);

###############################################################################

my @nodes = map { connected($_) } 8361, 8362;
my @question = ('SENTINEL', 'get-master-addr-by-name', 'mymaster');

is(ask($nodes[0], @question), "*2\r\n\$9\r\n127.0.0.1\r\n\$4\r\n6379\r\n",
	'master');
is(ask($nodes[1], @question), ask($nodes[0], @question), 'the other Sentinel');
is(ask($nodes[0], @question[0, 1], 'unknown'), "*-1\r\n", 'unknown name');
is($sentinel->calls(1, uc "@question[0, 1]"), 1, 'counted');

# who listens

is(ask($nodes[0], 'SUBSCRIBE', '+switch-master'),
	"*3\r\n\$9\r\nsubscribe\r\n\$14\r\n+switch-master\r\n:1\r\n", 'subscribed');
is(ask($nodes[0], 'PING'), "*2\r\n\$4\r\npong\r\n\$0\r\n\r\n", 'probe');
like(ask($nodes[0], @question), qr/^-ERR Can't execute 'sentinel\|/,
	'no questions');

$sentinel->switch('mymaster', '127.0.0.2', 6380);
is(reply($nodes[0]), "*3\r\n\$7\r\nmessage\r\n\$14\r\n+switch-master\r\n"
	. "\$38\r\nmymaster 127.0.0.1 6379 127.0.0.2 6380\r\n", 'told');
is(ask($nodes[1], @question), "*2\r\n\$9\r\n127.0.0.2\r\n\$4\r\n6380\r\n",
	'master then');

is($sentinel->publish('+switch-master', 'rubbish'), 1, 'something else');
like(reply($nodes[0]), qr/\r\nrubbish\r\n$/, 'told as well');

$sentinel->switch_silently('mymaster', '127.0.0.3', 6381);
is(ask($nodes[0], 'PING'), "*2\r\n\$4\r\npong\r\n\$0\r\n\r\n", 'not told');
like(ask($nodes[1], @question), qr/127\.0\.0\.3/, 'and another');

# what goes wrong

$sentinel->fault(1, uc "@question[0, 1]", 'instead', "*1\r\n\$1\r\nx\r\n");
is(ask($nodes[1], @question), "*1\r\n\$1\r\nx\r\n", 'wrong answer');

$sentinel->switch('mymaster');
is(ask($nodes[1], @question), "*-1\r\n", 'no master');

$sentinel->fault('*', 'PING', 'silence', undef, -1);
$nodes[1]->print(command('PING') x 2, command('AUTH', 'x'));
is(reply($nodes[1]), "+OK\r\n", 'silence');

###############################################################################

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new('127.0.0.1:' . port($port))
		// die "connect() failed: $!\n";
}

###############################################################################
