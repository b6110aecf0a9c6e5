#!/usr/bin/perl

# Sentinels that want a password, and a Redis that wants another one, are given
# theirs; with the smallest set of rights, and over TLS.  Otherwise a fleet has to
# choose between a store that is safe and one that survives.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

SSLSessionCache::Authority->new($t, 'ca')->issue('redis', names => 'IP:127.0.0.1');

my $redis = SSLSessionCache::RedisSentinel->new($t,
	password => 'of-redis',
	sentinel_password => 'of-sentinels',
	sentinel_user => 'on >sentinel-sesame resetchannels -@all '
		. '+sentinel|get-master-addr-by-name',
	tls => 'redis',
	user => 'on >sesame ~sslsessioncache:* resetchannels -@all '
		. '+get +setex +del +ping +role',
);

private_file($t, 'redis.password', "sesame\n");
private_file($t, 'sentinel.password', "sentinel-sesame\n");
private_file($t, 'wrong.password', "wrong\n");

my @options = options('sentinel.password');

pair($t, @options);
SSLSessionCache::Nginx->new($t, 'wrong',
	config(options('wrong.password'), port => 8445));
$t->plan(9);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	ok(wait_until(sub { resumed($version) }), "$version, resumed");
}

is(join(' ', sort keys %{{ map { $_ => 1 } users() }}), 'nginx', 'as this user');

ok($redis->failover(), 'failover');
ok(wait_until(sub { resumed('TLSv1.3') }), 'resumed then');

# a wrong password

my $r = tls_get(8445, version => 'TLSv1.2');
is($r->{reused}, 0, 'wrong password, full handshake');
ok(wait_until(sub { $t->read_file('wrong.log') =~ /sslsessioncache: .*WRONGPASS/ }),
	'wrong password, told');
unlike($t->read_file($_), qr/sesame/, "password is not in $_")
	foreach 'error.log', 'wrong.log';

###############################################################################

sub options {
	my ($file) = @_;

	return (
		store => $redis,
		cache => 'store=fleet',
		main => <<"EOM",
remote_ssl_session_store fleet {
    type               redis;
    sentinel           mymaster;
    sentinel_user      nginx;
    sentinel_auth_file $file;
    user               nginx;
    auth_file          redis.password;
    server             127.0.0.1:%%PORT_28361%%;
    server             127.0.0.1:%%PORT_28362%%;
    tls                on;
    tls_ca             ca.crt;
}
EOM
	);
}

sub resumed {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);

	return tls_get(8444, version => $version,
		session => $r->{session})->{reused};
}

# Of the connections to the master, but for those of this test and the replica.

sub users {
	return grep { $_ ne 'default' }
		$redis->master()->command('CLIENT', 'LIST') =~ / user=(\S+)/g;
}

###############################################################################
