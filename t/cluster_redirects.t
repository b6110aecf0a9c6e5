#!/usr/bin/perl

# A Redis Cluster that asks to come again is asked again, in the time that a
# handshake has; one that sends clients round in circles is asked three times; and
# a node that says nothing of the others is left for the next.  Otherwise a
# cluster in trouble costs all resumptions, or asks for its own overload.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Cluster;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $cluster = SSLSessionCache::Cluster->new($t);

# the first node that is named never tells of the others

$cluster->fault(0, 'CLUSTER SLOTS', 'instead', "-ERR no\r\n", -1);
$cluster->fault(0, 'CLUSTER SHARDS', 'instead', "-ERR no\r\n", -1);

pair($t,
	store => $cluster,
	cache => 'store=fleet',
	main => <<'EOM',
remote_ssl_session_store fleet {
    type    redis;
    cluster on;
    server  127.0.0.1:8371;
    server  127.0.0.1:8372;
    timeout 2s;
}
EOM
);
$t->plan(13);

###############################################################################

my $version = 'TLSv1.2';

ok(wait_until(sub { resumed(made()) }), 'map of the second node');

my @sessions = map { made() } 1 .. 20;
is(grep({ resumed($_) } @sessions), 20, 'resumed');

# again, in a moment

my ($session) = @sessions;
my $name = name($session);
my $node = $cluster->node_of($name);
my $slot = slot_of($name);

foreach my $error ('TRYAGAIN Multiple keys request during rehashing of slot',
	'CLUSTERDOWN The cluster is down')
{
	my $calls = gets();
	$cluster->fault($node, 'GET', 'instead', "-$error\r\n", 2);

	is(resumed($session), 1, "$error, resumed");
	is(gets() - $calls, 3, "$error, asked again");
}

# round in circles: the second node names itself

my $next = port(8371 + ($node + 1) % 3);

foreach my $word ('MOVED', 'ASK') {
	my $calls = gets();
	$cluster->fault('*', 'GET', 'instead', "-$word $slot 127.0.0.1:$next\r\n", -1);

	is(resumed($session), 0, "$word for ever, full handshake");
	is(gets() - $calls, 2, "$word for ever, not asked again by who says so");

	$cluster->fault('*', 'GET', 'none');
	ok(wait_until(sub { resumed($session) }), "$word for ever, resumed then");
}

# the map is not asked for with each of those

cmp_ok(maps(), '<', 30, 'map is not asked for all the time');

###############################################################################

sub made {
	my $r = tls_get(8443, version => $version);

	wait_until(sub { defined $cluster->value($cluster->node_of(name($r)), name($r)) });

	return $r;
}

sub name {
	my ($r) = @_;

	return 'sslsessioncache:' . unpack 'H*', session_id($r->{session});
}

sub resumed {
	my ($r) = @_;

	return tls_get(8444, version => $version,
		session => $r->{session})->{reused};
}

sub gets {
	my $gets = 0;
	$gets += $cluster->calls($_, 'GET') foreach 0 .. 2;

	return $gets;
}

sub maps {
	my $maps = 0;

	foreach my $node (0 .. 2) {
		$maps += $cluster->calls($node, "CLUSTER $_") foreach 'SLOTS', 'SHARDS';
	}

	return $maps;
}

###############################################################################
