#!/usr/bin/perl

# A user of Redis who has the rights of docs/stores.md passes "check"; one who lacks
# a right is told which, and how it is given.  Otherwise sessions are looked up and
# never stored, and an operator gives all rights to get rid of that.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(23);
my $redis = SSLSessionCache::Redis->new($t, password => 'admin');
my $dir = $t->testdir();

my @all = qw/ ~sslsessioncache:* -@all +get +setex +del +ping /;

private_file($t, 'store.password', 'secret');

###############################################################################

my $r = check(@all, '+set');

is($r->{status}, 0, 'all rights') or diag($r->{out});
like($r->{out}, qr/^  note     CLIENT SETNAME: NOPERM .*\n *-> with \+client\|setname /m,
	'but that to a name');
unlike($r->{out}, qr/^  (?:failure|warning)  (?:GET|SET|SETEX|DEL|PING)/m,
	'nothing is missing');
like($r->{out}, qr/^  note     version, memory and clients .* INFO\n *-> with \+info /m,
	'notes in place of facts');
like($r->{out}, qr/^  note     whether sessions are written to disk cannot be told/m,
	'persistence');
like($r->{out}, qr/^  note     the clock of the server cannot be told/m, 'clock');

# early data alone needs it

$r = check(@all);

is($r->{status}, 0, 'no +set');
like($r->{out}, qr/^\ \ warning\ \ SET\ \.\.\.\ EX\ NX:\ NOPERM\ .*\n\ *->\ give\ the\ user
	\ the\ right,\ \+set:\ .*;\ early\ data,/mx, 'is warned of');
is(check('single_use=on', @all)->{status}, 1, 'unless it is needed');

foreach my $right (qw/ get setex del /) {
	$r = check((grep { $_ ne "+$right" } @all), '+set');

	is($r->{status}, 1, "no +$right");
	like($r->{out}, qr/^\ \ failure\ \ \U$right\E:\ NOPERM\ .*\n
		\ *->\ give\ the\ user\ the\ right,\ \+$right:\ docs/mx, "$right, told");
}

$r = check((grep { $_ ne '+ping' } @all), '+set');

is($r->{status}, 1, 'no +ping');
like($r->{out}, qr/^  failure  .*NOPERM.*\n *-> give the user this right/m, 'ping, told');

# the keys of another prefix

$r = check('prefix=tls:', @all, '+set');

is($r->{status}, 1, 'other keys');
like($r->{out}, qr/^  failure  GET: NOPERM .*\n *-> give the user the keys, ~tls:\*/m,
	'keys, told');

$r = check('db=1', @all, '+set');

is($r->{status}, 1, 'no +select');
like($r->{out}, qr/^  failure  .*NOPERM.*select.*\n *-> give the user this right/m,
	'select, told');

is(scalar(grep { !/-$/ || $redis->ttl($_) > 10 } $redis->keys()), 0,
	'nothing left behind for long');
like(tool('check', "port=$redis->{port}", 'auth=secret', 'user=nobody')->{out},
	qr/WRONGPASS.*\n *-> the password or the user is wrong/, 'no such user');

###############################################################################

# The user has these rights; words of the directive have a = in them.

sub check {
	my (@words) = @_;

	$redis->command('ACL', 'SETUSER', 'nginx', 'reset', 'on', '>secret',
		grep { !/=/ } @words);

	return tool('check', "port=$redis->{port}", 'user=nginx',
		"auth_file=$dir/store.password", grep { /=/ } @words);
}

###############################################################################
