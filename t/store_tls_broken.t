#!/usr/bin/perl

# A store that stops or breaks off at any byte of a TLS handshake is a store
# that is down: full handshakes, and resumption as soon as it behaves.  nginx
# exits and reloads in the middle of such a handshake; a reload reads anew what
# tls_ca names.  Otherwise a bad moment of the network costs more than some
# resumptions, and a store with a renewed certificate a restart of nginx.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Authority;
use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# how much a connection gets to read, through the handshake and the tickets
# and replies that follow it, and what it meets then

my @bytes = (0, 1, 5, 60, 127, 200, 400, 600, 800, 1000, 1200, 1400, 2000);
my @faults = ((map { [ 'stuck', $_ ] } @bytes), map { [ 'reset', $_ ] } @bytes);

my $dir = $t->testdir();

SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'IP:127.0.0.1');
SSLSessionCache::Authority->new($t, 'new')
	->issue('renewed', names => 'IP:127.0.0.1');

my $redis = SSLSessionCache::Redis->new($t, args => tls_args('redis'));

my $link = SSLSessionCache::Link->new($t, port => 8377, peer => 8381,
	breaks => \@faults);
my $stuck = SSLSessionCache::Link->new($t, port => 8378, peer => 8381,
	breaks => [ map { [ 'stuck', 200 ] } 1 .. 10 ]);

my $tls = 'tls=on tls_ca=ca.crt';
single($t,
	store => $redis,
	cache => "port=%%PORT_8377%% $tls interval=10ms timeout=300ms",
);
$t->plan(13);

###############################################################################

my ($failed, $longest, $handshakes) = (0, 0, 0);

wait_until(sub {
	my $start = time();
	defined offer(full())->{body} or $failed++;
	my $seconds = time() - $start;
	$longest = $seconds if $seconds > $longest;
	$handshakes += 2;

	return $link->connections() > @faults;
}, 30);

cmp_ok($link->connections(), '>', @faults, 'all faults were met');
is($failed, 0, "no handshake fails of $handshakes");
cmp_ok($longest, '<', 5, 'no handshake waits longer than the timeout');
ok(resumes(), 'resumed after all');
like($t->read_file('error.log'), qr/ is down: TLS handshake timed out/,
	'reason in the log');

# in the middle of a handshake

my $other = SSLSessionCache::Nginx->new($t, 'other', config(port => 8463,
	cache => "port=%%PORT_8378%% $tls interval=10ms timeout=60s"));

ok(wait_until(sub { $stuck->connections() == 1 }), 'handshake begun');

my @old = $other->workers();
$other->signal('HUP');

ok(wait_until(sub { !grep { kill 0, $_ } @old }), 'reload, old worker exits');
ok(wait_until(sub { $stuck->connections() == 2 }), 'reload, handshake begun');
ok($other->end('QUIT'), 'quit');

# a renewed certificate, of another authority

$redis->stop();
$redis->{args} = tls_args('renewed');
$redis->start();

is(offer(full())->{reused}, 0, 'unknown authority, full handshake');
ok(!resumes(1), 'unknown authority, not resumed');

$t->write_file('ca.crt', $t->read_file('ca.crt') . $t->read_file('new.crt'));
ok(reload($t, 1), 'another tls_ca, reloaded');
ok(resumes(), 'another tls_ca, resumed');

###############################################################################

sub tls_args {
	my ($name) = @_;

	return [ '--tls-port', port(8381), '--tls-auth-clients', 'no',
		'--tls-cert-file', "$dir/$name.crt",
		'--tls-key-file', "$dir/$name.key",
		'--tls-ca-cert-file', "$dir/ca.crt" ];
}

sub resumes {
	my ($seconds) = @_;

	return wait_until(sub { offer(full())->{reused} }, $seconds);
}

sub full {
	return tls_get(8443, version => 'TLSv1.3');
}

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => 'TLSv1.3', session => $r->{session});
}

###############################################################################
