#!/usr/bin/perl

# Of several servers each has the claims on a part of the sessions: early data is
# accepted once in the fleet, in whatever order machines name the servers.  With
# one of them dead no handshake fails, and the others know their claims.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @stores = map { store($t, port => $_) } 8371, 8372;

single($t, options(8371, 8372));
SSLSessionCache::Nginx->new($t, 'other', config(options(8372, 8371), port => 8444));
$t->plan(9);

###############################################################################

my $count = 12;
my $taken = qr/^reused accepted HIT CLAIMED$/;

my @sessions = map { made() } 1 .. $count;

is(unlike_all($t, $taken, 8444, @sessions), '', 'accepted');
is(unlike_all($t, qr/^reused rejected HIT REPLAYED$/, 8443, @sessions), '',
	'not again on the other machine');
is(unlike_all($t, qr/^reused rejected HIT REPLAYED$/, 8444, @sessions), '',
	'nor on the same');

my @claims = map { scalar grep { /\+$/ } $_->keys() } @stores;

is($claims[0] + $claims[1], $count, 'claims');
cmp_ok($_, '>', 0, 'a part of them at each server') foreach @claims;

# one of them dies: its sessions are lost, and so are claims on others'

@sessions = map { made() } 1 .. $count;

my @kept = grep { $stores[1]->has_key(name($_)) } @sessions;
my @lost = grep { !$stores[1]->has_key(name($_)) } @sessions;

$stores[0]->crash();

is(unlike_all($t, qr/^full rejected (?:DOWN|MISS|TIMEOUT)$/, 8444, @lost), '',
	'sessions of the dead one, none fails');
is(unlike_all($t, qr/^reused rejected HIT UNCLAIMED$|$taken/, 8444, @kept), '',
	'sessions of the other, none fails');
ok(wait_until(sub { my $session = made();
	offer_early($t, 8444, $session) =~ $taken
		&& offer_early($t, 8443, $session) =~ / rejected .*REPLAYED/ }),
	'sessions made meanwhile, accepted once');

###############################################################################

# What comes of offers, but for what is expected.

sub unlike_all {
	my ($t, $expected, $port, @offered) = @_;

	return join "\n", grep { $_ !~ $expected }
		map { offer_early($t, $port, $_) } @offered;
}

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	wait_until(sub { grep { kill(0, $_->pid()) && $_->has_key(name($session)) }
		@stores });

	return $session;
}

sub name {
	my ($session) = @_;

	return $stores[0]->key(session_id($session));
}

sub options {
	my (@ports) = @_;

	my $servers = join "\n", map { "    server 127.0.0.1:$_;" } @ports;

	return (
		store => $stores[0],
		cache => 'store=fleet',
		server => 'ssl_early_data on;',
		body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
		main => <<"EOM",
remote_ssl_session_store fleet {
    type    %%STORE%%;
    timeout 1s;
$servers
}
EOM
	);
}

###############################################################################
