#!/usr/bin/perl

# An error may be told at length: a Redis in protected mode turns clients away
# with more than 1,000 bytes.  The reason is in the log, cut to a line that can
# be read, and an error to a command is about that command alone.  Otherwise
# the log says "reply is too large", and each such error costs the connection.

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

my $store = SSLSessionCache::Misbehaving->new($t);

my $error = (store_type() eq 'redis' ? '-DENIED Redis is running'
	: 'SERVER_ERROR something is running') . ' in protected mode' x 200;

my @options = (cache => 'type=%%STORE%% interval=10ms timeout=1s');
single($t, store => $store, @options);
$t->plan(7);

###############################################################################

my ($session) = $store->made('TLSv1.2', 1);
my $accepted = $store->calls('accept');

$store->fault('get', 'instead', "$error\r\n");
is(offer(8443), 0, 'to a lookup, full handshake');

$store->fault('put', 'instead', "$error\r\n");
tls_get(8443, version => 'TLSv1.2');
ok(wait_until(sub { $t->read_file('error.log') =~ /refuses commands, / }),
	'told in the log');

is(offer(8443), 1, 'resumed then');
is($store->calls('accept'), $accepted, 'same connection');

# as the greeting of a server that turns all clients away

$store->fault('accept', 'instead', "$error\r\n");
my $other = SSLSessionCache::Nginx->new($t, 'other',
	config(port => 8444, @options));

ok(wait_until(sub { $other->error_log()
	=~ /is down: rejected: .*running/ }), 'to the greeting, told in the log');
ok(wait_until(sub { offer(8444) }), 'resumed after it');

is(grep({ length > 500 } grep { /running/ } split /\n/,
	$t->read_file('error.log') . $other->error_log()), 0,
	'cut in the log');

###############################################################################

sub offer {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $session)->{reused};
}

###############################################################################
