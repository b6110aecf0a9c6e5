#!/usr/bin/perl

# A reload under load fails no handshake, goes on resuming, and leaves no old
# worker behind.  A timer or a connection of the store's client that keeps a
# worker from exiting would pile up workers with every reload.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

single($t, cache => 'type=%%STORE%%', main => 'worker_processes 2;');
$t->plan(6);

###############################################################################

my $reloads = 5;

pipe my $results, my $report or die "pipe() failed: $!\n";
my @loads = map { SSLSessionCache::Daemon->new($t)->launch(\&load, $report) }
	1 .. 2;
close $report;

my @replaced;

foreach (1 .. $reloads) {
	select undef, undef, undef, 0.3;
	push @replaced, reload($t, 2) ? 1 : 0;
}

is("@replaced", join(' ', (1) x $reloads), 'old workers exit');

$_->end('TERM') foreach @loads;
my @results = map { chomp; [ split ' ' ] } <$results>;
my @failed = grep { $_->[0] eq 'failed' } @results;
my $reused = grep { $_->[0] eq 'reused' } @results;

is(join("\n", map { "@$_" } @failed), '', 'no handshake fails');
cmp_ok($reused, '>', 5 * $reloads, 'sessions are resumed');
cmp_ok($reused, '>', 0.9 * @results, 'nearly all sessions are resumed');

ok(wait_until(sub { resumed()->{reused} }), 'resumed by the last workers');
is(grep({ /sslsessioncache: .*\bdown\b/ }
	split /\n/, $t->read_file('error.log')), 0, 'no line in the log');

###############################################################################

sub load {
	my ($report) = @_;

	$report->autoflush(1);

	while (1) {
		my $r = resumed();
		my $error = $r->{error} // '';
		print $report defined $r->{body}
			? $r->{reused} ? "reused\n" : "new\n"
			: "failed $error\n";
	}
}

sub resumed {
	my $r = tls_get(8443);

	return $r unless defined $r->{body};
	return tls_get(8443, session => $r->{session});
}

###############################################################################
