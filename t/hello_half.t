#!/usr/bin/perl

# A client may stop anywhere in its ClientHello and leave, or be silent until it
# is timed out.  However many do: no memory stays behind, and the next client is
# served.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t,
	http => 'ssl_protocols TLSv1.2 TLSv1.3;',
	server => 'client_header_timeout 2s;',
);
$t->plan(8);

###############################################################################

my $worker = worker($t);
my %sessions = map { $_ => made($_) } 'TLSv1.2', 'TLSv1.3';
my $connections = connections($worker);
my %hellos = map { $_ => SSLSessionCache::Hello->new(version => $_,
	session => $sessions{$_})->hello() } keys %sessions;

$redis->forget_calls();

half($_, 200) foreach keys %sessions;
my $growth = growth($worker, sub { half($_, 1000) foreach keys %sessions });

is($redis->calls('get'), 0, 'no lookups');
is($growth, 0, 'no growth of memory');

foreach my $version (sort keys %sessions) {
	my $silent = SSLSessionCache::Hello::connected(8443);
	syswrite $silent, substr $hellos{$version}, 0, 100;

	is(sysread($silent, my $data, 1), 0, "$version, timed out");
	is(tls_get(8443, version => $version,
		session => $sessions{$version})->{reused}, 1,
		"$version, resumed after them");
}

is(join(' ', workers(master($t))), $worker, 'same worker');
ok(wait_until(sub { connections($worker) <= $connections }),
	'no connections left');

###############################################################################

# So many that leave after some part of the hello; some of them with a reset.

sub half {
	my ($version, $count) = @_;

	my $hello = $hellos{$version};

	foreach my $n (1 .. $count) {
		my $socket = SSLSessionCache::Hello::connected(8443);

		syswrite $socket, substr $hello, 0, 1 + $n % (length($hello) - 1);
		select undef, undef, undef, 0.001;
		reset_connection($socket) if $n % 2;
	}
}

sub made {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
