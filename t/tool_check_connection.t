#!/usr/bin/perl

# Each way in which no connection to a store is made is told from the others by
# "check", with what to do about it.  Otherwise an operator has the word "down",
# and five places to look at.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Daemon;
use SSLSessionCache::Redis;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('redis-server')->plan(32);
my $redis = SSLSessionCache::Redis->new($t);
my $strict = SSLSessionCache::Redis->new($t, port => 8380, password => 'sesame');
my $frozen = SSLSessionCache::Redis->new($t, port => 8381)->freeze();
my $small = SSLSessionCache::Redis->new($t, port => 8382,
	args => [ '--databases', '4' ]);

says($t, 8384, '220 mail.example ESMTP');
says($t, 8385, '-DENIED Redis is running in protected mode because protected mode is '
	. 'enabled and no password is set for the default user.');
says($t, 8386, "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
	. "set to 'no'.");
says($t, 8387, '-BUSY Redis is busy running a script. You can only call SCRIPT KILL or '
	. 'SHUTDOWN NOSAVE.');
says($t, 8388, 'SERVER_ERROR no backends');

###############################################################################

fails('nobody listens', qr/: connection refused\n *-> nobody listens there/,
	'port=' . port(8383));
fails('unknown name', qr/cannot look up "no\.invalid": .*\n *-> is the name right/,
	'addr=no.invalid');
fails('no answer', qr/: no answer in 3s\n *-> .*does it stand still/,
	"port=$frozen->{port}", 'timeout=100ms');
fails('no password', qr/NOAUTH.*\n *-> the server wants a password: set auth_file=/,
	"port=$strict->{port}");
fails('wrong password', qr/WRONGPASS.*\n *-> the password or the user is wrong/,
	"port=$strict->{port}", 'auth=mistaken');
fails('a password too many', qr/without any password .*\n *-> the server has no/, "port=$redis->{port}", 'auth=sesame');
fails('no such database', qr/out of range\n *-> the server has no database/,
	"port=$small->{port}", 'db=9');
fails('no Redis', qr/unexpected reply\n *-> what listens there is no Redis/,
	'port=' . port(8384));
fails('no Memcached', qr/unexpected reply\n *-> what listens there is no Memcached/,
	'type=memcached', "port=$redis->{port}");
fails('protected mode', qr/DENIED.*\n *-> the server is in protected mode/,
	'port=' . port(8385));
fails('no master', qr/MASTERDOWN.*\n *-> it is a replica that has lost its master/,
	'port=' . port(8386));
fails('a script', qr/BUSY.*\n *-> a script keeps the server busy/, 'port=' . port(8387));
fails('an error of Memcached', qr/: SERVER_ERROR no backends\n *-> see the log/,
	'type=memcached', 'port=' . port(8388));
fails('no file of a password', qr/cannot\ read\ file\ "\/no\/file"\ of\ parameter
	\ "auth_file":\ .*\n\ *->\ nginx\ would\ not\ start/x,
	"port=$redis->{port}", 'auth_file=/no/file');
fails('no key file', qr/cannot read file "\/no\/key" of parameter "key"/,
	"port=$redis->{port}", 'key=/no/key');

# without a password, who comes is let in

my $r = tool('check', "port=$redis->{port}");

is($r->{status}, 0, 'warnings are no failures');
like($r->{out}, qr/^  warning  logged in without a password\n *-> who can reach/m,
	'no password is warned of');

$frozen->thaw();

###############################################################################

# Something that says the same to everybody.

sub says {
	my ($t, $port, $line) = @_;

	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . port($port),
		Listen => 8, ReuseAddr => 1) or die "Can't listen: $!\n";

	$t->run_daemon(sub {
		while (my $socket = $listener->accept()) {
			print $socket "$line\r\n";
			sysread $socket, my $said, 100;
		}
	});
	close $listener;
}

sub fails {
	my ($name, $expected, @words) = @_;

	my $r = tool('check', @words);

	is($r->{status}, 1, "$name, failed");
	like($r->{out}, qr/^  failure  .*$expected/m, "$name, told");
}

###############################################################################
