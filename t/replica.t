#!/usr/bin/perl

# A Redis that becomes a replica of another, without a word to its clients, is
# left for the next address of its name.  Otherwise no session would be stored
# until somebody restarts it.

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

my $second = SSLSessionCache::Redis->new($t, bind => '127.0.0.2');
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1', '127.0.0.2' ]);

my $first = single($t,
	cache => 'addr=localhost',
	http => 'resolver 127.0.0.1:%%PORT_8953_UDP%% ipv6=off;',
);
$t->plan(7);

###############################################################################

ok(wait_until(sub { $names->questions() > 0 && resumed() }), 'resumed');
is(scalar $first->clients(), 1, 'first address is used');

$first->command('REPLICAOF', '127.0.0.2', $second->{port});

ok(wait_until(sub { resumed() && $second->count() }), 'resumed elsewhere');
ok(wait_until(sub { $t->read_file('error.log')
	=~ /127\.0\.0\.1:\d+\) is down: it is a replica; / }), 'told')
	or diag(grep { /sslsessioncache: redis/ } $t->read_file('error.log') =~ /^.*\n/mg);

# its greeting would be answered, but not what stores sessions

select undef, undef, undef, 5;
is(() = $t->read_file('error.log') =~ / is down: /g, 1, 'it is not returned to');
ok(resumed(), 'resumed still');

$first->command('REPLICAOF', 'NO', 'ONE');
ok(wait_until(sub { $t->read_file('error.log')
	=~ /127\.0\.0\.2:\d+\) is not in use any more/ }, 20),
	'returned to when it is a master again');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
