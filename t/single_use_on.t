#!/usr/bin/perl

# With single_use=on a session of TLS 1.3 is resumed once in the fleet, with a tier
# of the machine and without, and is deleted then: the next handshake has the one
# that came with that.  Sessions of TLS 1.2, of which a client has no other, are
# resumed any number of times.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Pair;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @options = (
	cache => 'type=%%STORE%% single_use=on timeout=5s',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
);

my ($store) = pair($t, @options,
	server => 'ssl_early_data on; ssl_session_tickets off;');
SSLSessionCache::Nginx->new($t, "tier$_", config(@options, port => $_,
	server => 'ssl_session_cache shared:SSL:1m;')) foreach 8445, 8446;
$t->plan(35);

###############################################################################

foreach my $case ([ 8443, 8444, 'HIT' ], [ 8445, 8446, 'HIT' ],
	[ 8445, 8445, 'LOCAL' ])
{
	my ($from, $to, $expected) = @$case;
	my $name = "$from, $to";
	my ($first) = made($from, 'TLSv1.3');

	my $r = tls_get($to, version => 'TLSv1.3', session => $first);
	is("$r->{reused} $r->{body}", "1 <$expected >", "$name, resumed");
	ok(wait_until(sub { !$store->has_key($store->key(session_id($first))) }),
		"$name, deleted");
	ok($store->has_key(claim_key($store->key(session_id($first)))),
		"$name, the claim stays");

	foreach my $port ($from, $to) {
		my $again = tls_get($port, version => 'TLSv1.3', session => $first);
		like("$again->{reused} $again->{body}", qr/^0 <(?:MISS|USED) >$/,
			"$name, not again on $port");
	}

	ok($store->wait_id(session_id($r->{session})), "$name, another session");
	$r = tls_get($from, version => 'TLSv1.3', session => $r->{session});
	is($r->{reused}, 1, "$name, which is resumed");

	my $old = made($from, 'TLSv1.2');
	is(join(' ', map { tls_get($_, version => 'TLSv1.2',
		session => $old)->{reused} } $to, $from, $to, $to), '1 1 1 1',
		"$name, TLSv1.2, any number of times");
}

# where a record is there again: the claim says that it was used

my $session = made(8443, 'TLSv1.3');
my $key = $store->key(session_id($session));
my $record = $store->value($key);

is(tls_get(8444, version => 'TLSv1.3', session => $session)->{reused}, 1,
	'put back, resumed before');
wait_until(sub { !$store->has_key($key) });
$store->put($key, $record);
is(tls_get($_, version => 'TLSv1.3', session => $session)->{body}, '<USED >',
	"put back, used, $_") foreach 8443, 8444;
is(tls_get(8443, version => 'TLSv1.3')->{body}, '< >', 'nothing offered');

# early data is that of the one handshake

$session = made(8443, 'TLSv1.3');
is(offer_early($t, 8444, $session), 'reused accepted HIT CLAIMED', 'early data');
wait_until(sub { !$store->has_key($store->key(session_id($session))) });
is(offer_early($t, 8444, $session), 'full rejected MISS', 'early data, once');

# also where nothing follows it: the answer may end the connection

$session = made(8443, 'TLSv1.3');
answer_to(8444, early_flight($t, $session));
ok(wait_until(sub { !$store->has_key($store->key(session_id($session))) }),
	'early data and nothing more, deleted');

# who has no proof takes it from nobody

$session = made(8443, 'TLSv1.3');
my $flight = early_flight($t, $session);
answer_to(8444, without_secret($flight));
ok(wait_until(sub {
	!$store->has_key(claim_key($store->key(session_id($session)))) }),
	'without proof, given back');
is(tls_get(8444, version => 'TLSv1.3', session => $session)->{reused}, 1,
	'without proof, resumed by its client');
is(join(' ', map { tls_get(8445, version => 'TLSv1.3',
	session => $_)->{reused} } made(8445, 'TLSv1.3')), 1, 'and on others');

my @alerts = $t->read_file('error.log') =~ /exited on signal/g;
is(@alerts, 0, 'no crash');

###############################################################################

sub made {
	my ($port, $version) = @_;

	my $session = tls_get($port, version => $version)->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
