#!/usr/bin/perl

# The status page tells the handshakes of http{}, stream{} and mail{} apart, as
# JSON and for Prometheus, beside all of them together.  Otherwise mail clients
# that never resume are lost among the visitors of web pages who do.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Frontends;
use SSLSessionCache::Status;

###############################################################################

my $t = Test::Nginx->new();

my $redis = frontends($t, type => 'redis');
$t->plan(15);

###############################################################################

# So many full handshakes with each, and one resumption less.

my %full = (http => 3, stream => 4, mail => 5);

foreach my $name (sort keys %full) {
	my @made = map { +{ version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3' } }
		1 .. $full{$name};
	$_->{session} = visit($redis, $name, %$_)->{session} foreach @made;
	my @got = map { visit($redis, $name, %$_) } @made[1 .. $#made];

	is(grep({ $_->{reused} } @got), $full{$name} - 1, "$name resumes");
}

my $s = wait_status(sub { sum($_[0]{handshakes}) == 21 });

is_deeply([ sort keys %{$s->{frontends}} ], [ sort keys %full ], 'frontends');

my ($text) = http_get('/status?format=prometheus') =~ /\r\n\r\n(.*)/s;
my $metric = 'nginx_remote_ssl_session_cache_handshakes_total';
my %told;
$told{$1}{$2} = $3
	while $text =~ /^$metric\{frontend="(\w+)",result="(\w+)"\} (\d+)$/mg;

foreach my $name (sort keys %full) {
	my $counts = $s->{frontends}{$name};

	is($counts->{none}, $full{$name}, "$name, full handshakes");
	is($counts->{hit}, $full{$name} - 1, "$name, resumptions");
	is(sum($counts), 2 * $full{$name} - 1, "$name, nothing else");
}

is($s->{handshakes}{hit}, 9, 'all together');
is_deeply(\%told, $s->{frontends}, 'the same for Prometheus');

###############################################################################

sub sum {
	my ($counts) = @_;

	my $sum = 0;
	$sum += $_ foreach values %$counts;

	return $sum;
}

###############################################################################
