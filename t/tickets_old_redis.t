#!/usr/bin/perl

# A Redis before 2.6.12 knows no SET with options: seeds are added by SETNX, and
# the first one wins there as well.

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
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

seal_key($t, 'cache.key');

my ($redis, $other) = pair($t,
	store => SSLSessionCache::Misbehaving->new($t, redis => '2.6.11'),
	cache => 'key=cache.key',
	http => 'remote_ssl_session_tickets on;',
	body => '$ssl_session_reused',
);
$t->plan(4);

###############################################################################

ok(wait_until(sub { resumes(8443, 8444) && resumes(8444, 8443) }, 20),
	'tickets cross machines');
cmp_ok($redis->calls('setnx'), '>=', 1, 'SETNX');
is($redis->calls('expire'), $redis->calls('setnx'), 'and EXPIRE');
cmp_ok($redis->calls('setnx'), '<', 20, 'a few times');

###############################################################################

sub resumes {
	my ($from, $to) = @_;

	my $session = tls_get($from, version => 'TLSv1.3')->{session};

	return tls_get($to, version => 'TLSv1.3', session => $session)->{body} eq 'r';
}

###############################################################################
