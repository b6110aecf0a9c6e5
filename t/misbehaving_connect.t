#!/usr/bin/perl

# A store that resets the connection, or says something else, at any stage of
# connecting and authenticating is a store that is down: full handshakes, and
# resumption as soon as it behaves.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

my $version = 'TLSv1.2';

my %replies = store_type() eq 'redis'
	? (auth => "+OK\r\n", ping => "+PONG\r\n")
	: (auth => "STORED\r\n", ping => "VERSION 1.6.18\r\n");
my @refusals = store_type() eq 'redis'
	? ("-ERR invalid password\r\n", "-LOADING dataset\r\n", "\$-1\r\n")
	: ("CLIENT_ERROR authentication failure\r\n", "ERROR\r\n", "END\r\n");

my @faults = (
	[ 'accept', 'close', 0 ],
	[ 'accept', 'reset', 0 ],
	(map { [ 'accept', 'before', $_ ] } @replies{'auth', 'ping'}, 'rubbish'),
	(map { my $stage = $_;
		(map { my $fault = $_;
			map { [ $stage, $fault, $_ ] }
				0 .. length($replies{$stage}) - 1 }
			'close', 'reset'),
		(map { [ $stage, 'instead', $_ ] } @refusals),
		[ $stage, 'after', 'rubbish' ],
	} 'auth', 'ping'),
);

single($t,
	store => $store,
	cache => 'type=%%STORE%% interval=10ms timeout=500ms auth=user:secret',
);
$t->plan(4);

###############################################################################

my ($session) = $store->made($version, 1);
my (@failed, @lasting, @kept);

foreach my $fault (@faults) {
	my $name = join ' ', map { s/\r\n//r } @$fault;
	my $accepted = $store->calls('accept');

	# the connection that meets the fault, and one that does not
	$store->drop(@$fault);
	push @failed, "$name: $_" foreach map { $_->{error} // () } map { offer() }
		1 .. 2;
	wait_until(sub { $store->calls('accept') >= $accepted + 2 })
		or push @kept, $name;
	wait_until(sub { offer()->{reused} }) or push @lasting, $name;
}

is(join("\n", @failed), '', 'no handshake fails');
is(join("\n", @kept), '', 'connections are closed');
is(join("\n", @lasting), '', 'resumed after each');
is($store->calls('delete'), 0, 'nothing was deleted');

###############################################################################

sub offer {
	return tls_get(8443, version => $version, session => $session);
}

###############################################################################
