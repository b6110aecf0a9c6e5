#!/usr/bin/perl

# A Redis Cluster that takes TLS is spoken to with TLS at each node, which must
# prove to be the one that is meant: a node of another authority gets nothing.
# Otherwise who sits between nginx and one node gets its share of the sessions.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::NameServer;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Authority->new($t, 'ca')->issue('redis',
	names => 'IP:127.0.0.1,DNS:redis-1.example,DNS:redis-2.example,'
		. 'DNS:redis-3.example');
SSLSessionCache::Authority->new($t, 'other');

my $cluster = SSLSessionCache::RedisCluster->new($t, tls => 'redis', replicas => 0);
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1' ]);

pair($t, options('tls_ca ca.crt;'));
another($t, 'stranger', 8447, 'tls_ca other.crt;');
$t->plan(9);

###############################################################################

my $count = 25;

checks('address', 8443, 8444);

# names that nodes tell are those of their certificates

my $number = 0;
$_->command('CONFIG', 'SET', 'cluster-announce-hostname',
	'redis-' . ++$number . '.example') foreach $cluster->nodes();
wait_until(sub { !grep { 3 != (() = $_->command('CLUSTER', 'NODES')
	=~ /,redis-\d\.example /g) } $cluster->nodes() });
$cluster->command('CONFIG', 'SET', 'cluster-preferred-endpoint-type', 'hostname');

another($t, "names$_", $_, 'tls_ca ca.crt; resolver 127.0.0.1:%%PORT_8953_UDP%%;')
	foreach 8445, 8446;
checks('name', 8445, 8446);
cmp_ok($names->questions(), '>', 0, 'name, looked up');

# slots that move

my ($from, $to) = $cluster->masters();
$cluster->move_slots($from, $to, 2000);
checks('moved', 8445, 8446);

# another authority

my @made = map { tls_get(8443, version => 'TLSv1.2') } 1 .. 5;
is(join(' ', map { tls_get(8447, version => 'TLSv1.2',
	session => $_->{session})->{reused} // 'failed' } @made), '0 0 0 0 0',
	'another authority, full handshakes');
ok(wait_until(sub { $t->read_file('stranger.log')
	=~ /sslsessioncache: .*TLS handshake failed: / }), 'another authority, told');

###############################################################################

sub checks {
	my ($name, $from, $to) = @_;

	$cluster->clear();
	my @made = map { tls_get($from, version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3') }
		1 .. $count;
	$cluster->wait_id(session_id($_->{session})) foreach @made;

	is(grep({ $_->count() } $cluster->masters()), 3, "$name, at all nodes");
	is(grep({ tls_get($to, version => $_->{version},
		session => $_->{session})->{reused} } @made), $count,
		"$name, resumed");
}

sub options {
	my ($words) = @_;

	return (
		store => $cluster,
		cache => 'store=fleet',
		main => <<"EOM",
remote_ssl_session_store fleet {
    type    redis;
    cluster on;
    server  127.0.0.1:%%PORT_28371%%;
    tls     on;
    $words
}
EOM
	);
}

sub another {
	my ($t, $name, $port, $words) = @_;

	return SSLSessionCache::Nginx->new($t, $name,
		config(options($words), port => $port));
}

###############################################################################
