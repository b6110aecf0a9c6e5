#!/usr/bin/perl

# What lies in the store is what is described, and no more: one record for each
# epoch, of which whoever has the key file gets the keys of all tickets, and nobody
# else anything.  A record that was made as described is taken; one that is
# damaged is not, is told of, and costs no handshake.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Clock;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::Tickets;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();
my $clock = SSLSessionCache::Clock->new($t, 'all');
my $store = store($t);

my $key = seal_key($t, 'cache.key');
certificate($t, 'localhost');

my @options = (
	main => $clock->directives(),
	cache => 'type=%%STORE%% key=cache.key',
	http => 'remote_ssl_session_tickets on rotate=2h;',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
	store => $store,
);

$clock->run(sub { single($t, @options) });
$t->plan(15);

###############################################################################

my $epoch = epoch($clock->time(), 7200);
my $record = seed_of($epoch);

ok(defined $record, 'a record of that name');
is(length $record, 69, 'its length');

my ($seed, $made) = open_seed($key, $epoch, $record);

is(length $seed // '', 32, 'a seed');
cmp_ok(abs($made - $clock->time()), '<', 60, 'and when it was made');
cmp_ok($store->ttl(epoch_key($key, $epoch)), '>', 0, 'it has a time to live');

my $keys = ticket_keys($seed, id_context($t, 'localhost'));

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $session = until_settled($version);
	my $ticket = session_id($session);

	is(unpack('a16', $ticket), $keys->{name}, "$version, the name of the ticket key");
	ok(defined open_ticket($keys, $ticket), "$version, the ticket opens");
	ok(!defined open_ticket(ticket_keys($seed, 'other'), $ticket),
		"$version, not for another id context");
}

# A machine that begins takes what is there

my $given = "\x55" x 32;
$store->clear();
put_seed($epoch, seal_seed($key, $epoch, $given, $clock->time()));

my $other = $clock->run(sub { SSLSessionCache::Nginx->new($t, 'other',
	config(@options, port => 8444)) });

ok(wait_until(sub { unpack('a16', session_id(made(8444)))
	eq ticket_keys($given, id_context($t, 'localhost'))->{name} }), 'a seed from the store');

# But not what is damaged

$store->clear();
put_seed($epoch, $record =~ s/.\z/chr(1 ^ ord $&)/esr);

my $third = $clock->run(sub { SSLSessionCache::Nginx->new($t, 'third',
	config(@options, port => 8445)) });

ok(wait_until(sub { $third->error_log() =~ /ticket key of epoch \d+ in .* is damaged or forged/ }),
	'a damaged record is told of');
like(tls_get(8445, session => made(8445))->{body}, qr/^r TICKET$/, 'tickets all the same');
is(seed_of($epoch), $record =~ s/.\z/chr(1 ^ ord $&)/esr, 'it is left there');

###############################################################################

sub seed_of {
	my ($epoch) = @_;

	wait_until(sub { $store->has_key(epoch_key($key, $epoch)) });

	return $store->value(epoch_key($key, $epoch));
}

sub put_seed {
	my ($epoch, $record) = @_;

	$store->put(epoch_key($key, $epoch), $record);
}

sub made {
	my ($port, $version) = @_;

	return tls_get($port, version => $version // 'TLSv1.3')->{session};
}

# A ticket of the key that came from the store.

sub until_settled {
	my ($version) = @_;

	my $session;
	wait_until(sub { unpack('a16', session_id($session = made(8443, $version)))
		eq $keys->{name} });

	return $session;
}

###############################################################################
