#!/usr/bin/perl

# What lies under a session's name in the store may be longer than any session:
# another program's, for one.  It is skipped and deleted as any other record
# that is no session, and other lookups do not notice.  Otherwise it costs the
# connection, and the lookups that wait, each time that it is asked for.

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

my @lengths = (16 * 1024 + 1, 32 * 1024, 40_000, 1_000_000);
my @versions = ('TLSv1.2', 'TLSv1.3');

my $store = single($t,
	cache => 'type=%%STORE%% timeout=5s',
	body => '$remote_ssl_session_cache_status',
);
$t->plan(4 * @lengths * @versions + 2);

###############################################################################

my @clients;
wait_until(sub { @clients = $store->clients() });

foreach my $version (@versions) {
	my $good = full($version);

	foreach my $length (@lengths) {
		my $bad = full($version);
		$store->put(key($bad), "\r" x $length);

		# looked up at the same time

		my @hellos = map { tls_hello(8443, version => $version,
			session => $_->{session}) } $good, $bad, $good;
		my @got = map { my $c = $_; eval { $c->get('/') } // {} } @hellos;

		is(join(' ', map { $_->{body} // 'failed' } @got),
			'HIT INVALID HIT', "$version, $length bytes");
		ok(wait_until(sub { !$store->has_key(key($bad)) }),
			"$version, $length bytes, deleted");
		is(offer($bad), 'MISS', "$version, $length bytes, a miss then");
		is(offer($good), 'HIT', "$version, $length bytes, another");
	}
}

is(join(' ', $store->clients()), join(' ', @clients), 'same connection');
is(join("\n", $t->read_file('error.log')
	=~ /^(.* sslsessioncache: .* (?:is down|refuses).*)/mg), '',
	'no error in the log');

###############################################################################

sub full {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	return $r;
}

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => $r->{version},
		session => $r->{session})->{body};
}

sub key {
	my ($r) = @_;

	return $store->key(session_id($r->{session}));
}

###############################################################################
