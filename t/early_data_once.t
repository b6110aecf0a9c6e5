#!/usr/bin/perl

# Early data of a session is accepted once, wherever it is offered: RFC 8446,
# section 8.  A client, or who has recorded what it sent, offers one session with
# early data to four workers of two machines at the same instant.  All
# handshakes resume it, and one of them has its early data.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Workers;

###############################################################################

my $t = Test::Nginx->new();
my $count = 500;

# the tier of each machine on and off, sessions in clear and sealed

my @servers = map { my $tier = $_; map { [ "$tier, $_->[0]", $tier, $_->[1] ] }
	[ 'in clear', '' ], [ 'sealed', 'key=' . $t->testdir() . '/cache.key' ] }
	'shared:', 'none';

$t->write_file('cache.key', join '', map { chr rand 256 } 1 .. 32);

my (undef, $is_crossed) = four_workers($t, '$remote_ssl_session_cache_early_data',
	map { [ $_->[1], "type=%%STORE%% $_->[2]" ] } @servers);
$t->plan(6 * @servers + 1);

###############################################################################

ok($is_crossed, 'sessions cross machines');

foreach my $number (0 .. $#servers) {
	my ($name) = @{ $servers[$number] };
	my ($one, $other) = (8440 + $number, 8450 + $number);
	my $r = early_data($one, [ $one, $one, $other, $other ], $count);

	is($r->{failed}, 0, "$name, none failed") or diag($r->{error});
	is($r->{resumed}, 4 * $count, "$name, all were resumed");
	cmp_ok($r->{accepted}[1], '>=', 0.95 * $count, "$name, accepted once");
	is("@{$r->{accepted}}[2 .. 4]", '0 0 0', "$name, never more often");
	is($r->{answers}{CLAIMED}, $r->{accepted}[1], "$name, claimed");
	is(($r->{answers}{REPLAYED} // 0) + ($r->{answers}{UNCLAIMED} // 0),
		4 * $count - $r->{accepted}[1], "$name, others refused");
	diag("$name: @{$r->{accepted}} ", explain $r->{answers}) if $ENV{TEST_NGINX_VERBOSE};
}

###############################################################################
