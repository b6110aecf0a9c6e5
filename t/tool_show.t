#!/usr/bin/perl

# "show" finds a session by its id, sealed or in clear, and tells all of it but its
# secret; "revoke" ends it, so that it is not resumed any more.  Otherwise nobody can
# tell why a session is not resumed, or end that of a device that was stolen.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();
my $dir = $t->testdir();

seal_key($t, 'cache.key');
seal_key($t, 'other.key');

my ($store) = pair($t, cache => 'key=cache.key', server => 'ssl_early_data on;'
	. ' ssl_session_timeout 10m;');
$t->plan(45);

my @words = ("port=$store->{port}", "key=$dir/cache.key");
my $key = $t->read_file('cache.key');

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version, sni => 'localhost');
	my $id = session_id($r->{session});
	my $hex = unpack 'H*', $id;
	my $name = $store->key(seal_name($key, $id));

	$store->wait_id(seal_name($key, $id));

	my $shown = tool('show', $hex, @words);

	is($shown->{status}, 0, "$version, shown") or diag(explain $shown);
	is($shown->{err}, '', "$version, no complaint");
	like($shown->{out}, qr/^key: \Q$name\E$/m, "$version, key");
	like($shown->{out}, qr/^127\.0\.0\.1:$store->{port}: found$/m, "$version, server");
	like($shown->{out}, qr/^  record: \d+ bytes, deleted by the store in (?:600|59\d) s$/m,
		"$version, record");
	like($shown->{out}, qr/^  sealed with key [0-9a-f]{8}, site 0$/m, "$version, sealed");
	like($shown->{out}, qr/^  protocol: \Q$version\E, cipher: [A-Z0-9_-]+$/m,
		"$version, protocol and cipher");
	like($shown->{out}, qr/^  expires: .* GMT \(in (?:600|59\d) s\)$/m, "$version, expiry");
	like($shown->{out}, qr/^  id context: [0-9a-f]{40,64}$/m, "$version, id context");
	like($shown->{out}, $version eq 'TLSv1.3' ? qr/^  early data: allowed, up to 16384 bytes$/m
		: qr/^  early data: not allowed$/m, "$version, early data");
	like($shown->{out}, qr/^claim: none/m, "$version, no claim");
	unlike($shown->{out}, qr/@{[ unpack 'H*', master_key($r->{session}) ]}/,
		"$version, no secret");

	$store->put($store->key(seal_name($key, $id)) =~ s/.$/+/r, 'x');
	like(tool('show', $hex, @words)->{out}, qr/^claim: at 127\.0\.0\.1:/m,
		"$version, claim");

	my $pem = write_session($t, 'session.pem', $r->{session});
	is(tool('show', '--session', $pem, @words)->{status}, 0, "$version, by its file");

	is(tls_get(8444, version => $version, session => $r->{session},
		sni => 'localhost')->{reused}, 1, "$version, resumed before");

	my $revoked = tool('revoke', $hex, @words);

	is($revoked->{status}, 0, "$version, revoked");
	like($revoked->{out}, qr/^127\.0\.0\.1:$store->{port}: deleted\n.*ssl_session_cache shared:/m,
		"$version, told");
	is(tls_get(8444, version => $version, session => $r->{session},
		sni => 'localhost')->{reused}, 0, "$version, not resumed after");
	is(tool('revoke', $hex, @words)->{status}, 1, "$version, is gone");
}

# an id of another key, and a record that is none

my $r = tls_get(8443, version => 'TLSv1.2');
my $id = session_id($r->{session});
my $hex = unpack 'H*', $id;

$store->wait_id(seal_name($key, $id));

my $shown = tool('show', $hex, $words[0], "key=$dir/other.key");

is($shown->{status}, 1, 'another key');
like($shown->{out}, qr/none of the keys here \([0-9a-f]{8}\) has made this id/, 'told');

$store->put($store->key(seal_name($key, $id)), "\2" . 'x' x 200);
like(tool('show', $hex, @words)->{out}, qr/^  damaged or forged: record is not authentic$/m,
	'damaged');

# what is no id

foreach my $word ('xyz', '', '00' x 33) {
	is(tool('show', $word, @words)->{status}, 2, "no id: \"$word\"");
}

$t->write_file('session.pem', 'no session');
like(tool('show', '--session', "$dir/session.pem", @words)->{err},
	qr/unfit file .* expected a session in PEM/, 'no session');

###############################################################################
