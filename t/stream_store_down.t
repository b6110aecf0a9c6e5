#!/usr/bin/perl

# With the store away, at the start or later, or held still, every handshake in
# stream{} is a full one, none fails, and clients are connected to the service in
# time; when the store is back, so is resumption.  Otherwise a cache takes the
# service down.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
$store->stop();

my (undef, $other) = stream_pair($t,
	store => $store, cache => 'type=%%STORE%% timeout=500ms');
$t->plan(17);

###############################################################################

my $count = 20;
my @versions = ('TLSv1.2', 'TLSv1.3');
my @pids = (workers(master($t)), workers($other));

is(failures(), 0, 'absent at start');

$store->start();
ok(back(), 'back after it was absent');

# killed while lookups wait

my @made = map { full($versions[$_ % 2]) } 1 .. $count;
$store->wait_id(session_id($_->{session})) foreach @made;

$store->freeze();
my @waiting = begin(@made);
select undef, undef, undef, 0.1;

is(grep({ $_->answered() } @waiting), 0, 'lookups wait');

$store->crash();
my @got = finish(@waiting);

is(grep({ $_->{body} eq 'waiting' } @got), $count, 'killed, answered');
is(grep({ $_->{reused} } @got), 0, 'killed, full handshakes');

is(failures(), 0, 'away after it was killed');

$store->start();
ok(back(), 'back after it was killed');

# held still: those who wait, and those that come then

@made = map { full($versions[$_ % 2]) } 1 .. $count;
$store->wait_id(session_id($_->{session})) foreach @made;

$store->freeze();
my $begin = time();
@got = finish(begin(@made));
cmp_ok(time() - $begin, '>', 0.4, 'held still, the first wait');
cmp_ok(time() - $begin, '<', 5, 'held still, no longer than told');
is(grep({ $_->{body} eq 'waiting' } @got), $count, 'held still, answered');
is(grep({ $_->{reused} } @got), 0, 'held still, full handshakes');

$begin = time();
is(failures(), 0, 'none fails later');
cmp_ok(time() - $begin, '<', 5, 'nor waits');

$store->thaw();
ok(back(), 'back after it was held still');

$store->stop();
is(failures(), 0, 'away after it was stopped');

$store->start();
ok(back(), 'back after it was stopped');

is(join(' ', workers(master($t)), workers($other)), "@pids", 'same workers');

###############################################################################

# Connections that fail, of those that make a session and those that offer one.

sub failures {
	my @made = map { full($versions[$_ % 2]) } 1 .. $count;
	my @offered = map { offer($_) } @made;

	return (grep({ ($_->{body} // '') ne 'full' } @made)
		+ grep({ ($_->{body} // '') ne 'offered' } @offered));
}

# Handshakes that wait, and what comes of them.

sub begin {
	return map { tls_hello(8444, version => $_->{version},
		session => $_->{session}) } @_;
}

sub finish {
	return map { eval { stream_talk($_, echo => 'waiting') } // { body => $@ } }
		@_;
}

# Whether a session made on one is resumed on the other, with each version.

sub back {
	return 2 == grep { my $version = $_;
		wait_until(sub { offer(full($version))->{reused} }) } @versions;
}

sub full {
	my ($version) = @_;

	return stream_get(8443, version => $version, echo => 'full');
}

sub offer {
	my ($r) = @_;

	return stream_get(8444, version => $r->{version}, echo => 'offered',
		session => $r->{session});
}

###############################################################################
