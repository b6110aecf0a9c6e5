#!/usr/bin/perl

# With "quic_retry", a client of HTTP/3 has to show first that its address is its
# own.  Before it has, nothing is asked of the store, so that nobody can have a
# server ask in the name of others; then its handshake waits as any does, also
# where its packets come again.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::QUIC;
use SSLSessionCache::QUICHello;
use SSLSessionCache::Wait;

###############################################################################

my $t = needs_waiting(Test::Nginx->new()->has(qw/http_v3/))
	->has_daemon('gtlsclient');

my $link = SSLSessionCache::Link->new($t);
my %conf = (
	http => 'quic_retry on;',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
);
my $redis = single($t, %conf,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=300ms interval=50ms',
	quic => 8980,
);
SSLSessionCache::Nginx->new($t, 'other', config(%conf,
	cache => 'port=%%PORT_8378%% suspend=retry timeout=20s',
	port => 8444,
	quic => 8981,
));
$t->plan(16);

###############################################################################

my $session = h3_made(8980, $redis);
ok(wait_until(sub { resumed(8981) }), 'resumed');

is(quic_get($t, 8980), '. ', 'gtlsclient, full handshake');
ok(wait_until(sub { quic_get($t, 8981) eq 'r HIT' }), 'gtlsclient, resumed');

$redis->forget_calls();

my @clients = map { SSLSessionCache::QUICHello->new(8981,
	session => $session) } 1 .. 5;
$_->send($_->datagram())->validated() foreach @clients;
is($redis->calls('get'), 0, 'the store is not asked before');

my $lookups = $link->lookups() + @clients;
$redis->freeze();
foreach my $client (@clients) {
	$client->send(map { $client->datagram() } 1 .. 3);
}
is($link->wait_lookups($lookups), $lookups, 'all wait');
$redis->thaw();

is(join(', ', map { $_->get()->{body} } @clients),
	join(', ', ('r HIT') x @clients), 'all are resumed');
is($redis->calls('get'), @clients, 'each was looked up once');

my %faults = (
	frozen => [ sub { $redis->freeze() }, sub { $redis->thaw() } ],
	late => [ sub { $link->fault('slow', 0.5) }, sub { $link->fault('none') } ],
	gone => [ sub { $redis->crash() }, sub { $redis->start() } ],
);

foreach my $fault (qw/ late frozen gone /) {
	my ($begin, $end) = @{$faults{$fault}};

	ok(wait_until(sub { resumed(8980) }), "$fault, resumed before");
	$begin->();
	like(h3_get(8980, session => $session)->{body}, qr/^\. (?:DOWN|TIMEOUT)$/,
		"$fault, full handshake");
	$end->();
}

$session = h3_made(8980, $redis);
ok(resumed(8980), 'resumed after');
unlike($t->read_file($_), qr/SSL_do_handshake\(\) failed/,
	"no handshake has failed, $_") foreach qw/ error.log other.log /;

###############################################################################

sub resumed {
	my ($port) = @_;

	return h3_get($port, session => $session)->{body} eq 'r HIT';
}

###############################################################################
