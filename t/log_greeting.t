#!/usr/bin/perl

# A store that can be connected to and does not greet is most often one that is
# configured wrongly: the log says what it was that failed, what may help, and
# not the password.  Otherwise operators look for the reason in the dark.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# the first nginx does not probe: the faults are for the others

my $cache = 'type=%%STORE%% auth=user:secret';
my $other = config(port => 8444, cache => "$cache interval=10ms");

my $closed = qr/is down: the connection was closed during the greeting; check /;

my @cases = (
	[ 'auth', 'close', 0, qr/$closed/ ],
	[ 'ping', 'close', 0, qr/$closed/ ],
	[ 'ping', 'close', 3, qr/$closed/ ],
);

# with Redis a second connection is made, which has no name, before it is told

my $times = store_type() eq 'redis' ? 2 : 1;

push @cases, store_type() eq 'redis' ? (
	[ 'auth', 'instead', "-ERR unknown command 'AUTH', with args beginning"
		. " with: 'user:secret' \r\n",
		qr/is down: rejected: ERR unknown command 'AUTH';/ ],
	[ 'ping', 'instead', "-ERR operation not permitted\r\n",
		qr/is down: not authenticated: ERR operation not permitted;/ ],
	[ 'ping', 'instead', "-LOADING dataset\r\n",
		qr/is down: rejected: LOADING dataset;/ ],
) : ();

my $store = SSLSessionCache::Misbehaving->new($t);

single($t, store => $store, cache => "$cache interval=1h timeout=5s");
$t->plan(3 * @cases + 2);

###############################################################################

my ($session) = $store->made('TLSv1.2', 1);

foreach my $number (0 .. $#cases) {
	my ($verb, $fault, $argument, $expected) = @{$cases[$number]};
	my $name = "$verb, $fault $argument" =~ s/\r\n//r;

	$store->fault($verb, $fault, $argument, $fault eq 'close' ? $times : 1);
	my $nginx = SSLSessionCache::Nginx->new($t, "other$number", $other);

	ok(wait_until(sub { offer() }), "$name, resumed after it");
	my ($line) = $nginx->error_log() =~ /sslsessioncache: (.* is down.*)/;
	like($line, $expected, "$name, told in the log");
	unlike($line, qr/secret/, "$name, without the password");

	$nginx->end('TERM');
}

# a connection that is lost later

my $nginx = SSLSessionCache::Nginx->new($t, 'lost', $other);
ok(wait_until(sub { offer() }), 'resumed before a loss');

$store->drop('accept', 'none');
ok(wait_until(sub { $nginx->error_log()
	=~ /is down: the connection was closed;/ }), 'a loss, told in the log');

###############################################################################

sub offer {
	return tls_get(8444, version => 'TLSv1.2',
		session => $session)->{reused};
}

###############################################################################
