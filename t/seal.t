#!/usr/bin/perl

# With a key, the store holds nothing that would help whoever reads it: no
# session, no session id; and sessions are resumed on every machine that has the
# key, and on no other.  Without it a copy of the store, or of its disk, decrypts
# what clients sent.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $key = seal_key($t, 'cache.key');
seal_key($t, 'another.key');

my @options = (main => 'worker_processes 2;', listen => 'reuseport');
my ($redis) = pair($t, cache => 'key=cache.key', @options);
SSLSessionCache::Nginx->new($t, 'stranger',
	config(cache => 'key=another.key', port => 8445, @options));
$t->plan(23);

###############################################################################

my $count = 50;
my @sessions = map { resumes($_) } 'TLSv1.2', 'TLSv1.3';

# what a thief gets

my @keys = $redis->keys();
my %records = map { $_ => $redis->command('GET', $_) } @keys;
my $dump = join "\n", %records;

cmp_ok(@keys, '>=', @sessions, 'a record for each session');

my @ids = map { session_id($_) } @sessions;
my @secrets = map { master_key($_) } @sessions;

is(grep({ index($dump, $_) >= 0 } @ids), 0, 'no session id');
is(grep({ index($dump, unpack 'H*', $_) >= 0 } @ids), 0, 'no session id in hex');
is(grep({ index($dump, $_) >= 0 } @secrets), 0, 'no secret');
is(grep({ parses($_) } values %records), 0, 'nothing parses as a session');
is(grep({ parses(substr $_, 21) } values %records), 0,
	'nothing parses behind the header');

# what the key opens, read by other means

my ($id) = @ids;
my $record = $records{$redis->key(seal_name($key, $id))};
my ($version, $expiry, undef, $session) = read_record($key, $id, $record);

is(unpack('H*', seal_id($key, $id)), unpack('H*', $id), 'id as described');
is($version, 2, 'format as described');
cmp_ok(abs($expiry - time() - 300), '<', 30, 'expiry as described');
ok(parses($session), 'session as described');
is(unpack('H*', master_key($session)), unpack('H*', $secrets[0]),
	'the session of the client');

# machines with another key

foreach ([ 'TLSv1.2', $sessions[0] ], [ 'TLSv1.3', $sessions[-1] ]) {
	my ($version, $session) = @$_;

	$redis->forget_calls();
	my $stranger = tls_get(8445, version => $version, session => $session);

	is($stranger->{reused}, 0, 'not resumed with another key');
	is($redis->calls('get'), 0, 'not even looked up');
	is($redis->calls('delete'), 0, 'not deleted');
	is(tls_get(8444, version => $version, session => $session)->{reused}, 1,
		'resumed with the key');
}

###############################################################################

# Makes sessions, and resumes each on the other machine.

sub resumes {
	my ($version) = @_;

	my @made = map { tls_get(8443, version => $version) } 1 .. $count;
	my @sessions = map { $_->{session} } @made;

	$redis->wait_id(seal_name($key, session_id($_))) foreach @sessions;

	my @resumed = map {
		tls_get(8444, version => $version, session => $_)
	} @sessions;

	is(grep({ $_->{reused} } @made), 0, "$version, made");
	is(grep({ $_->{reused} } @resumed), $count, "$version, resumed");

	return @sessions;
}

sub parses {
	my ($der) = @_;

	my $session = Net::SSLeay::d2i_SSL_SESSION($der) or return 0;
	Net::SSLeay::SESSION_free($session);

	return 1;
}

###############################################################################
