#!/usr/bin/perl

# A session that is larger than an item of Memcached may be is not stored, and
# that is all: its client, the connection to the store and the sessions of
# others are as ever.  The session of a client with a certificate is large.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Memcached->new($t,
	args => [ '-I', '1k', '-o', 'slab_chunk_max=512' ]);
certificate($t, 'large', names => 50);

single($t,
	store => $store,
	cache => 'type=memcached',
	server => 'ssl_verify_client optional_no_ca;',
);
$t->plan(9);

###############################################################################

my $large = $t->testdir() . '/large';
my @clients;
wait_until(sub { @clients = $store->clients() });

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version, cert => $large);

	is($r->{reused}, 0, "$version, made");
	is(offer($r), 0, "$version, too large to be stored");

	$r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	is(offer($r), 1, "$version, another is stored");
}

is(join(' ', $store->clients()), join(' ', @clients), 'same connection');

my @lines = grep { /\[error\].* sslsessioncache: / }
	split /\n/, $t->read_file('error.log');

cmp_ok(@lines, '>', 0, 'told in the log');
is(grep({ !/refuses commands, .*SERVER_ERROR object too large/ } @lines), 0,
	'no other error in the log');

###############################################################################

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => $r->{version},
		session => $r->{session})->{reused};
}

###############################################################################
