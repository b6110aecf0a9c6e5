#!/usr/bin/perl

# A store at the first address of a name is greeted as ever, and closes the
# connection at each lookup: the next address is used.  Otherwise nothing would be
# resumed, while others are healthy.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::NameServer;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $first = SSLSessionCache::Misbehaving->new($t);
my $second = SSLSessionCache::Redis->new($t, bind => '127.0.0.2');
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1', '127.0.0.2' ]);

$first->fault('get', 'hangup');

single($t,
	store => $first,
	cache => 'addr=localhost',
	http => 'resolver 127.0.0.1:%%PORT_8953_UDP%% ipv6=off;',
);
$t->plan(4);

###############################################################################

my $count = 0;

ok(wait_until(sub { $count++; $names->questions() > 0 && resumed() }, 20),
	'resumed by way of the second');

my $attempts = $first->calls('accept');

select undef, undef, undef, 5;
my $missed = grep { !resumed() } 1 .. 20;

cmp_ok($missed, '<', 3, 'resumed still');
cmp_ok($first->calls('get'), '<', $count + 5, 'few lookups at the first');
cmp_ok($first->calls('accept') - $attempts, '<', 4, 'fewer and fewer attempts');

###############################################################################

# At a rate at which the connection does well for some time before each lookup.

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');
	select undef, undef, undef, 0.3;

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
