#!/usr/bin/perl

# What became of early data is told: of each connection in a variable, and of all
# on the status page.  Otherwise an operator does not see that clients' early data
# is refused, nor that somebody replays it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $link = SSLSessionCache::Link->new($t);

my $store = single($t,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=300ms',
	main => 'worker_processes 2;',
	server => 'ssl_session_cache shared:SSL:1m; ssl_early_data on;',
	body => '<$remote_ssl_session_cache_status $remote_ssl_session_cache_early_data>',
	http => 'log_format early "late:[$remote_ssl_session_cache_early_data]";
		access_log %%TESTDIR%%/early.log early;

		server {
			listen 127.0.0.1:8080;

			location /status {
				remote_ssl_session_cache_status;
			}
		}',
);
$t->plan(12);

###############################################################################

ok(wait_until(sub { my $s = made(); tls_get(8443, version => 'TLSv1.3',
	session => $s)->{reused} }), 'link is up');
is_deeply(status()->{early_data}, { claimed => 0, replayed => 0, unclaimed => 0 },
	'none');

my $session = made();

is(offer_early($t, 8443, $session), 'reused accepted LOCAL CLAIMED', 'claimed');
is(offer_early($t, 8443, $session), 'reused rejected LOCAL REPLAYED', 'replayed')
	foreach 1 .. 2;
is(tls_get(8443, version => 'TLSv1.3', session => $session)->{body}, '<LOCAL >',
	'no early data');
answer_to(8443, without_secret(early_flight($t, made())));

$session = made();
$link->fault('slow', 1);
is(offer_early($t, 8443, $session), 'reused rejected LOCAL UNCLAIMED', 'unclaimed')
	foreach 1 .. 3;

# those without proof are none

my $expected = { claimed => 1, replayed => 2, unclaimed => 3 };
my $s = wait_status(sub { $_[0]{early_data}{unclaimed} == 3 });

is_deeply($s->{early_data}, $expected, 'counted');

my $text = http_get('/status?format=prometheus');

is_deeply({ $text =~
	/^nginx_remote_ssl_session_cache_early_data_total\{result="(\w+)"\} (\d+)$/mg },
	$expected, 'for Prometheus');

$t->stop();

my %logged;
$logged{$_}++ foreach $t->read_file('early.log') =~ /late:\[(\w+)\]/g;
is_deeply(\%logged, { CLAIMED => 2, REPLAYED => 2, UNCLAIMED => 3 }, 'logged');

###############################################################################

sub made {
	my $session = tls_get(8443, version => 'TLSv1.3')->{session};
	$store->wait_id(session_id($session));

	return $session;
}

###############################################################################
