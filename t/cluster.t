#!/usr/bin/perl

# Sessions are spread over a Redis Cluster and resumed on every machine, with one
# node named in the configuration, whichever it is; what is deleted is deleted
# where it lies.  Without it a fleet that has outgrown one Redis has no store.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $key = seal_key($t, 'cache.key');

# the node that is named has few slots

my $cluster = SSLSessionCache::RedisCluster->new($t,
	sizes => [ 1000, 7692, 7692 ]);

my @options = (
	store => $cluster,
	listen => 'reuseport',
	main => <<'EOM',
worker_processes 2;

remote_ssl_session_store fleet {
    type    redis;
    cluster on;
    server  localhost:%%PORT_8371%%;
}
EOM
);

pair($t, @options, cache => 'store=fleet');

SSLSessionCache::Nginx->new($t, "sealed$_", config(@options, port => $_,
	cache => 'store=fleet key=cache.key')) foreach 8445, 8446;
$t->plan(17);

###############################################################################

my $count = 25;
my %names = (
	clear => sub { $_[0] },
	sealed => sub { seal_name($key, $_[0]) },
);

my @made = map { resumes(@$_) } (
	[ 'clear', 'TLSv1.2', 8443, 8444 ],
	[ 'clear', 'TLSv1.3', 8444, 8443 ],
	[ 'sealed', 'TLSv1.2', 8446, 8445 ],
	[ 'sealed', 'TLSv1.3', 8445, 8446 ],
);

foreach my $node ($cluster->masters()) {
	cmp_ok($node->count(), '>', 0, "sessions at the node of $node->{number}");
}

# what is damaged is deleted, at each node

my @clear = (@made[0 .. $count - 1], more());

foreach my $node ($cluster->masters()) {
	my ($r) = grep { $cluster->master_of(name($_)) == $node } @clear;

	$node->put(name($r), 'x');
	is(offer(8444, $r), 0, 'damaged, full handshake');
	ok(wait_until(sub { !$node->has_key(name($r)) }),
		"damaged, deleted at the node of $node->{number}");
}

###############################################################################

# Makes sessions, and offers each to the other machine.

sub resumes {
	my ($kind, $version, $from, $to) = @_;

	my @made = map { tls_get($from, version => $version) } 1 .. $count;

	is(grep({ $cluster->wait_id($names{$kind}->(session_id($_->{session}))) }
		@made), $count, "$kind, $version, stored");
	is(grep({ offer($to, $_) eq 1 } @made), $count, "$kind, $version, resumed");

	return @made;
}

# Enough for the smallest node to have one.

sub more {
	my @more = map { tls_get(8443, version => 'TLSv1.2') } 1 .. 100;
	$cluster->wait_id(session_id($_->{session})) foreach @more;

	return @more;
}

sub name {
	my ($r) = @_;

	return $cluster->key(session_id($r->{session}));
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused} // 'failed';
}

###############################################################################
