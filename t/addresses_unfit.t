#!/usr/bin/perl

# A store at the first address of a name that answers greetings, and what it is
# asked only after a while, if at all, is left for the next address, and not
# returned to before it does better.  Otherwise, each time that it is, handshakes
# would wait for it.

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

$first->command('CLIENT', 'PAUSE', 60000, 'WRITE');

ok(wait_until(sub { resumed() && $second->count() }), 'resumed elsewhere');

select undef, undef, undef, 7;
is(() = $t->read_file('error.log') =~ / is down: /g, 1, 'it is not returned to');

my $missed = grep { !resumed() } 1 .. 20;
is($missed, 0, 'resumed still');

$first->command('CLIENT', 'UNPAUSE');
ok(wait_until(sub { $second->clients() == 0 }, 20), 'returned to');
ok(wait_until(sub { resumed() }), 'resumed there');

# that which comes and goes is returned to less and less

foreach (1 .. 20) {
	$first->crash();
	select undef, undef, undef, 0.1;
	$first->start();
	select undef, undef, undef, 0.4;
}

my @returns = $t->read_file('error.log') =~ /127\.0\.0\.2:\d+\)? is not in use/g;
cmp_ok(scalar @returns, '<', 5, 'few returns');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
