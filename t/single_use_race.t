#!/usr/bin/perl

# With single_use=on, of four workers of two machines that are offered one session
# at the same instant one resumes it.  The others make full handshakes, and none
# fails.

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
my $count = 200;

my @servers = ([ 'a tier of each machine', 'shared:' ], [ 'no tier', 'none' ]);

my ($store, $is_crossed) = four_workers($t, '$remote_ssl_session_cache_status',
	map { [ $_->[1], 'type=%%STORE%% single_use=on' ] } @servers);
$t->plan(6 * @servers + 1);

###############################################################################

ok($is_crossed, 'sessions cross machines');

foreach my $number (0 .. $#servers) {
	my ($name) = @{$servers[$number]};
	my ($one, $other) = (8440 + $number, 8450 + $number);

	$store->clear();

	my $r = early_data($one, [ $one, $one, $other, $other ], $count);
	my $resumed = $r->{resumed};

	is($r->{failed}, 0, "$name, none failed") or diag($r->{error});
	is($r->{full}, 4 * $count - $resumed, "$name, the others fully");
	cmp_ok($resumed, '>=', 0.95 * $count, "$name, resumed");
	is($r->{accepted}[1], $resumed, "$name, each once, with its early data");
	is("@{$r->{accepted}}[2 .. 4]", '0 0 0', "$name, and never twice");
	cmp_ok($r->{answers}{USED} // 0, '>', 0, "$name, told of it");
	diag(explain $r) if $ENV{TEST_NGINX_VERBOSE};
}

###############################################################################
