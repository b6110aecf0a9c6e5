#!/usr/bin/perl

# The page for a person says on top what is wrong, since when and why, and no
# figure looks calm meanwhile: with a store that refuses sessions or lookups, that
# does not answer, that is down, with damaged records, and without nginx.  Otherwise an
# operator reads yesterday's numbers while clients wait.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Browser;
use SSLSessionCache::Load;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $browser = SSLSessionCache::Browser->new($t);
my $redis = single($t,
	cache => 'interval=1s timeout=100ms',
	main => 'worker_processes 2;',
	server => 'listen 127.0.0.1:8444 ssl;',
	http => 'server { listen 127.0.0.1:8080;'
		. ' location /status { remote_ssl_session_cache_status; } }',
);
$t->plan(25);

###############################################################################

my $store = 'redis 127.0.0.1:' . port(8379);
my $load = SSLSessionCache::Load->new($t, at_once => 4, pause => 0.1);

$browser->open('/status');
like($browser->wait_text('#verdict', qr/well.*lookups in/), qr/^All is well/, 'well');

# a record is damaged

my $r = tls_get(8443, version => 'TLSv1.2');
$redis->wait_id(session_id($r->{session}));
$redis->command('SET', $redis->key(session_id($r->{session})), 'something else');
tls_get(8444, version => 'TLSv1.2', session => $r->{session});

like($browser->wait_text('#verdict', qr/damaged/),
	qr/^1 damaged record came from a store: .*, the last one \d+ s ago$/m,
	'a damaged record');

# sessions are refused

$redis->command('CONFIG', 'SET', 'maxmemory', 1);

like($browser->wait_text('#verdict', qr/not stored/),
	qr/^\d+ sessions not stored in $store: \d+ refused.*, in the last \d+ s/m,
	'sessions are not stored');
like($browser->text('#announce'), qr/sessions not stored/, 'told to who listens');

$redis->command('CONFIG', 'SET', 'maxmemory', 0);

# lookups are refused

$redis->command('ACL', 'SETUSER', 'default', '-get');

like($browser->wait_text('#verdict', qr/lookups in .* refused/),
	qr/^\d+ of \d+ lookups in $store w\w+ refused: nginx's error log has .*, in the last \d+ s/m,
	'lookups are refused');
ok($browser->wait_text('#share .figures', qr/^0\.0 %/)
	&& $browser->value('document.querySelector("#share .value.bad") !== null'),
	'the share does not look calm');

$redis->command('ACL', 'SETUSER', 'default', '+get');

# no answers

$redis->freeze();

# which the module takes for a store that is down, after some time

like($browser->wait_text('#verdict', qr/suspended|is down/),
	qr/^(Lookups in $store are|The store is down|Store $store is).*, for \d+ s, since /m,
	'no answers');
like($browser->wait_text('#time .figures', qr/p50 no/),
	qr/^p50 no answer\s+p99 no answer$/, 'lookup times are none');
like($browser->text('#share .figures'), qr/^(0\.0 %|–)$/, 'no share');
like($browser->text('#rate .note'), qr/^[1-9]\d* without an answer in the last \d+ s/,
	'lookups without an answer');
ok($browser->value('document.querySelector(".row").open'), 'the workers are shown');
like($browser->text('.row .groups'), qr/^(suspended|down|connecting): /m,
	'and their state');
is_deeply([ $browser->look('frozen') ], [], 'all of that can be read');

$redis->thaw();
like($browser->wait_text('#time .figures', qr/p50 ≤/), qr/^p50 ≤ \d/,
	'figures again at once');

# no store

$redis->stop();

like($browser->wait_text('#verdict', qr/down/),
	qr/^The store is down: $store: connect\(\) failed.*, for \d+ s, since .*\d\d:\d\d:\d\d$/m, 'down');
like($browser->wait_text('#time .figures', qr/p99 no/), qr/^p50 (no answer|–)/,
	'no lookup time');
like($browser->text('.row > summary'), qr/0 of 2 up/, 'no worker is up');
like($browser->text('.row .groups'),
	qr/^(down|connecting): workers 0–1, at 127.0.0.1:\d+/m, 'the address');
ok($browser->value('document.title') =~ /^⚠/, 'in the title');
is_deeply([ $browser->look('down') ], [], 'all of that can be read');

# no nginx

$load->results();
$browser->complaints();
$t->stop();

like($browser->wait_text('#verdict', qr/No answer for [3-9] s/),
	qr/^No answer for \d+ s: nginx is not reached\n.*is from \d\d:\d\d:\d\d\.$/,
	'nginx is gone');
like($browser->value('getComputedStyle(document.querySelector("h2"), "::after")'
	. '.content'), qr/\d+ s old/, 'the age of what is shown');
is($browser->value('getComputedStyle(document.querySelector(".value")).color'),
	$browser->value('getComputedStyle(document.querySelector(".note")).color'),
	'in grey');
is_deeply([ $browser->look('gone') ], [], 'all of that can be read');
is(grep({ !/Failed to load resource/ } $browser->complaints()), 0,
	'no other complaints');

###############################################################################
