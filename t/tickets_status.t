#!/usr/bin/perl

# What is told of tickets: by a variable of each handshake, and by the status page
# of the machine's keys.  Clients that know no tickets are resumed by the cache
# beside them.

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
use SSLSessionCache::Status;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();
my $clock = SSLSessionCache::Clock->new($t, 'all');
my $store = store($t);

seal_key($t, 'cache.key');
certificate($t, 'localhost');

$clock->run(sub { single($t,
	store => $store,
	main => $clock->directives(),
	cache => 'type=%%STORE%% key=cache.key timeout=300ms',
	http => 'remote_ssl_session_tickets on rotate=1h; ssl_session_timeout 2h;
		server {
			listen 127.0.0.1:8080;
			location /status { remote_ssl_session_cache_status; }
		}',
	body => '$ssl_session_reused $remote_ssl_session_cache_status',
) });
$t->plan(19);

###############################################################################

my $tickets = wait_status(sub { ($_[0]{tickets}[0]{state} // '') eq 'fleet' })->{tickets};

is(@$tickets, 1, 'one store');
is($tickets->[0]{state}, 'fleet', "the fleet's key");
cmp_ok($tickets->[0]{key_age}, '<', 600, 'its age');
is($tickets->[0]{epochs}, 1, 'epochs known');
is($tickets->[0]{clock_behind}, undef, 'no clock is off');

my %made = map { $_ => tls_get(8443, version => $_)->{session} } 'TLSv1.2', 'TLSv1.3';

is(offered($_), 'r TICKET', "$_, the current key") foreach sort keys %made;

# A client without tickets

my $r = tls_get(8443, version => 'TLSv1.2', no_tickets => 1);

ok(wait_until(sub { $store->count() == 2 }),
	'a session of the cache');
is(tls_get(8443, version => 'TLSv1.2', no_tickets => 1, session => $r->{session})->{body},
	'r HIT', 'without tickets');

# The next epoch, without the store

$store->stop();
$clock->set(1, 60);

is(offered($_), 'r TICKET_OLD', "$_, an older key") foreach sort keys %made;

my $new = tls_get(8443, version => 'TLSv1.2', session => $made{'TLSv1.2'})->{session};

isnt(session_id($new), session_id($made{'TLSv1.2'}), 'with TLS 1.2 as well, a new ticket');

# What nobody has made

SSLSessionCache::Nginx->new($t, 'other', config(http => 'ssl_session_tickets on;', port => 8444));

my $foreign = tls_get(8444, version => 'TLSv1.3')->{session};

is(tls_get(8443, version => 'TLSv1.3', session => $foreign)->{body}, '. TICKET_UNKNOWN',
	'an unknown key');

my $status = wait_status(sub { $_[0]{handshakes}{ticket_unknown} == 1 });

is($status->{handshakes}{ticket}, 2, 'counted: the current key');
is($status->{handshakes}{ticket_old}, 3, 'counted: an older one');
is($status->{handshakes}{ticket_unknown}, 1, 'counted: none');
is($status->{tickets}[0]{state}, 'ratcheted', 'a key that the store did not tell');

my ($metrics) = http_get('/status?format=prometheus') =~ /\r\n\r\n(.*)/s;

like($metrics, qr/ticket_key_state\{store="[^"]+",state="ratcheted"\} 1/, 'as a metric');
like($metrics, qr/handshakes_total\{frontend="http",result="ticket"\} 2/, 'handshakes as metrics');

###############################################################################

sub offered {
	my ($version) = @_;

	return tls_get(8443, version => $version, session => $made{$version})->{body};
}

###############################################################################
