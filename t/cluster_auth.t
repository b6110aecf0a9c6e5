#!/usr/bin/perl

# A user of a Redis Cluster with the smallest set of rights can do all that the
# module needs, also while slots move; a right that is missing costs resumptions
# and is named in the log, the password is not.  Otherwise operators give the
# module all rights, or look for the missing one in the dark.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $rights = 'on >sesame ~sslsessioncache:* resetchannels -@all '
	. '+get +setex +del +ping +cluster|slots +asking';

my $cluster = SSLSessionCache::RedisCluster->new($t,
	password => 'of the operator', user => $rights, replicas => 0);

$cluster->command('ACL', 'SETUSER', 'blind', split(' ', $rights), '-cluster|slots');

private_file($t, 'redis.password', "sesame\n");

pair($t, options('nginx'));
SSLSessionCache::Nginx->new($t, 'blind', config(options('blind'), port => 8445));
$t->plan(12);

###############################################################################

my $count = 25;
my ($from, $to) = $cluster->masters();
my @sessions;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @made = sessions($version);

	is(resumed(@made), $count, "$version, resumed");
	push @sessions, @made;
}

is(grep({ $_->count() } $cluster->masters()), 3, 'at all nodes');
is(join(' ', sort keys %{{ map { $_ => 1 } users() }}), 'nginx', 'as this user');

my $damaged = name($sessions[0]);
$cluster->put($damaged, 'x');
is(resumed($sessions[0]), 0, 'damaged, full handshake');
ok(wait_until(sub { !$cluster->has_key($damaged) }), 'damaged, deleted');

my $move = $cluster->begin_move($from, $to, 2000);
$cluster->move_keys($move);
push @sessions, sessions('TLSv1.2');
is(resumed(@sessions), @sessions - 1, 'resumed while slots move');
$cluster->end_move($move);
is(resumed(@sessions), @sessions - 1, 'resumed when they have moved');

# without a map

is(join(' ', map { tls_get(8445, version => $_->{version},
	session => $_->{session})->{reused} // 'failed' } @sessions[1 .. 5]),
	'0 0 0 0 0', 'no right to the map, full handshakes');
ok(wait_until(sub { $t->read_file('blind.log')
	=~ /sslsessioncache: .*NOPERM.*cluster\|slots/ }), 'told of that right');
unlike($t->read_file('error.log'), qr/sslsessioncache: .*NOPERM/,
	'none is missing for the other user');
unlike($t->read_file('error.log') . $t->read_file('blind.log'), qr/sesame/,
	'password is not logged');

###############################################################################

sub options {
	my ($user) = @_;

	return (
		store => $cluster,
		cache => 'store=fleet',
		main => <<"EOM",
remote_ssl_session_store fleet {
    type      redis;
    cluster   on;
    server    127.0.0.1:8371;
    user      $user;
    auth_file redis.password;
}
EOM
	);
}

sub sessions {
	my ($version) = @_;

	my @made = map { tls_get(8443, version => $version) } 1 .. $count;
	$cluster->wait_id(session_id($_->{session})) foreach @made;

	return @made;
}

sub resumed {
	my (@sessions) = @_;

	return scalar grep { tls_get(8444, version => $_->{version},
		session => $_->{session})->{reused} } @sessions;
}

# Of the connections of others than this test and the nodes.

sub users {
	return grep { $_ ne 'default' && $_ ne 'blind' } map { / user=(\S+)/g }
		map { $_->command('CLIENT', 'LIST') } $cluster->nodes();
}

sub name {
	my ($r) = @_;

	return $cluster->key(session_id($r->{session}));
}

###############################################################################
