#!/usr/bin/perl

# Whatever lies in the store instead of the session, the client gets an
# ordinary full handshake, other clients do not notice, and it is deleted.
# Otherwise one bad record is a fatal alert for its client, for as long as it
# lies there.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @cases = (
	[ 'empty', sub { '' } ],
	[ 'rubbish', sub { 'rubbish' } ],
	[ 'long rubbish', sub { "\xff" x 4000 } ],
	[ 'longer than any', sub { 'x' x (512 * 1024) } ],
	[ 'cut', sub { substr $_[0], 0, -1 } ],
	[ 'cut short', sub { substr $_[0], 0, 10 } ],
	[ 'longer', sub { "$_[0]x" } ],
	[ 'another session', sub { $_[1] } ],
	map({ my $part = $_;
		[ "changed at $part/16", sub { changed($_[0], $part / 16) } ] }
		0 .. 15),
	[ 'last byte changed', sub { changed($_[0], 1) } ],
);

my ($store) = pair($t, cache => 'type=%%STORE%% timeout=5s');
$t->plan(6 * @cases + 2);

###############################################################################

# both workers are connected
my @clients;
wait_until(sub { @clients = $store->clients(); @clients == 2 });

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $good = full($version);
	my $record = $store->value(key($good));

	foreach my $case (@cases) {
		my ($name, $spoil) = @$case;

		my $bad = full($version);
		my $spoilt = $spoil->($store->value(key($bad)), $record);
		$store->put(key($bad), $spoilt);

		is(offer($bad), 0, "$version, $name");
		ok(wait_until(sub { !$store->has_key(key($bad)) }),
			"$version, $name, deleted");
		is(offer($good), 1, "$version, $name, another client");
	}
}

is(join(' ', $store->clients()), join(' ', @clients), 'connections stay open');

like($t->read_file('other.log') . $t->read_file('error.log'),
	qr/sslsessioncache: /, 'told in the log');

###############################################################################

sub full {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	return $r;
}

# -1 of a handshake that failed.

sub offer {
	my ($r) = @_;

	return tls_get(8444, version => $r->{version},
		session => $r->{session})->{reused} // -1;
}

# One bit of the byte that lies this far into the record, the first at 0 and
# the last at 1, is another one; what is changed can still be well formed.

sub changed {
	my ($record, $part) = @_;

	my $at = int($part * (length($record) - 1));
	substr($record, $at, 1) ^= "\x01";

	return $record;
}

sub key {
	my ($r) = @_;

	return $store->key(session_id($r->{session}));
}

###############################################################################
