#!/usr/bin/perl

# With nginx's resolver the store's name is looked up again when the time of its
# addresses is over, and when the store is down.  Otherwise a store that moves
# to another address is lost until somebody reloads nginx.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::NameServer;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# the name is looked up by the system first, when the configuration is read

my $second = SSLSessionCache::Redis->new($t, bind => '127.0.0.2');
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1' ]);

my $first = single($t,
	cache => 'addr=localhost',
	http => 'resolver 127.0.0.1:%%PORT_8953_UDP%% ipv6=off;',
);
$t->plan(15);

###############################################################################

ok(wait_until(sub { resumed() }), 'resumed');
ok(wait_until(sub { $names->questions() > 0 }), 'asked at the start');

# over and over, once in the time to live

my $asked = $names->questions();
select undef, undef, undef, 4.5;
cmp_ok($names->questions() - $asked, '>=', 2, 'asked again');
cmp_ok($names->questions() - $asked, '<=', 5, 'not more often than needed');
is($first->clients(), 1, 'connection is kept');

# moved while it is up

$names->answer('127.0.0.2');
is(wait_until(sub { $second->clients() == 1 }), 1, 'followed');
is(wait_until(sub { $first->clients() == 0 }), 1, 'first one is left');
ok(wait_until(sub { resumed() }), 'resumed there');
like($t->read_file('error.log'), qr/127\.0\.0\.1:\d+\)\ is\ not\ in\ use\ any\ more
	.* 127\.0\.0\.2:\d+\)\ is\ up$/msx, 'told of both');

# moved when it is down

$second->stop();
$names->answer('127.0.0.1');
is(wait_until(sub { $first->clients() == 1 }), 1, 'followed when down');
ok(wait_until(sub { resumed() }), 'resumed there again');

# the last known addresses stay in use

$names->answer();
$asked = $names->questions();
wait_until(sub { $names->questions() > $asked + 1 });
is($first->clients(), 1, 'kept when the name is gone');
ok(resumed(), 'resumed when the name is gone');

$names->answer('127.0.0.1');
ok(wait_until(sub { $t->read_file('error.log') =~ /is resolved again$/m }),
	'told that it is there again');
is(() = $t->read_file('error.log')
	=~ /redis localhost:\d+ cannot be resolved: Host not found;/g, 1,
	'told once that it was gone');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
