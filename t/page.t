#!/usr/bin/perl

# The page for a person leads with the last minute's figures, in a browser of
# today: charts are read by pointer, finger and keyboard, and are still there when
# the page is loaded again.  Otherwise an operator sees numbers that he cannot
# date, or none.

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
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $browser = SSLSessionCache::Browser->new($t);
my $redis = single($t,
	cache => 'interval=1m timeout=10s',
	main => 'worker_processes 2;',
	server => 'listen 127.0.0.1:8444 ssl;',
	http => 'server { listen 127.0.0.1:8080;'
		. ' location /status { remote_ssl_session_cache_status; } }',
);
$t->plan(30);

###############################################################################

# before there is anything to show

$browser->open('/status?format=html');

like($browser->wait_text('#verdict', qr/well/), qr/^All is well: 1 store up in/,
	'nothing is wrong');
like($browser->text('#help'), qr/no TLS handshake yet.*listen … ssl/s,
	'what to try without handshakes');
like($browser->text('#time'), qr/p50 –\s+p99 –/, 'no figure without lookups');
is_deeply([ $browser->look('zero') ], [], 'all of that can be read');

tls_get(8443, version => 'TLSv1.2');
like($browser->wait_text('#help', qr/offered/),
	qr/No client has offered a session yet/, 'what to try without offers');

# with clients

my $load = SSLSessionCache::Load->new($t, at_once => 4, pause => 0.1);

like($browser->wait_text('#share .figures', qr/%/), qr/^\d[\d.]* %$/,
	'share of the last minute');
like($browser->wait_text('#rate .figures', qr/^[1-9]/), qr/^[\d.]+$/,
	'lookups a second');
like($browser->wait_text('#time .figures', qr/p99 ≤/),
	qr/^p50 ≤ [\d.]+ ms\s+p99 ≤ [\d.]+ ms$/, 'lookup times by name');
like($browser->text('#share .note'), qr/ of .* in the last .*% since start$/,
	'since start, beside it');
like($browser->text('#about'), qr/module \d+\.\d+\.\d+ .*counted since /,
	'version and time');
is($browser->text('#help'), '', 'nothing to try');
like($browser->text('#stores'), qr/2 of 2 up/, 'workers');
ok(!$browser->value('document.querySelector(".row").open'),
	'folded, as they are well');

# charts

ok(wait_until(sub { $browser->value('CHARTS.time.u.data[2]'
	. '.filter(isNumber).length') > 3 }), 'points');

is($browser->value('[...document.querySelectorAll(".chart")].filter(e =>'
	. ' Math.abs(e.clientWidth - e.querySelector("canvas").clientWidth) < 2)'
	. '.length'), 3, 'charts fill their width');

my $newest = spoken($browser, 'rate');

$browser->value('document.querySelector("#rate .chart").focus()');
$browser->press(qw/ left left /);

my $earlier = spoken($browser, 'rate');
like($earlier, qr/^\d\d:\d\d:\d\d: answered [\d.]+\/s, no answer 0\/s$/,
	'a point is spoken');
cmp_ok($earlier, 'lt', $newest, 'an earlier one');
like($browser->text('#rate .reading'), qr/at \Q@{[ substr $earlier, 0, 8 ]}\E/,
	'and shown');
$browser->press('home');
cmp_ok(spoken($browser, 'rate'), 'lt', $earlier, 'the first one');
$browser->press('escape');
cmp_ok(spoken($browser, 'rate'), 'ge', $newest, 'back to the newest');

$browser->drag('#time .u-over', 0.99, 0.9);
cmp_ok(spoken($browser, 'time'), 'lt', newest($browser, 'time'),
	'read by a finger');
$browser->lift();
$browser->point('#share .u-over', 0.9);
cmp_ok(spoken($browser, 'share'), 'lt', newest($browser, 'share'), 'read by a pointer');

is_deeply([ $browser->look('live') ], [], 'all of that can be read');

# a page that nobody looks at asks nothing, and shows the gap

hide($browser, 'true');
my $asked = asked($browser);
select undef, undef, undef, 3;
is(asked($browser), $asked, 'nothing is asked while hidden');
$browser->value('CHARTS.share.u.setData([[7200], [1]])');
is_deeply($browser->value('(({ min, max }) => [min, max])(CHARTS.share.u.scales.x)'),
	[ 7140, 7200 ], 'one point is at the end of a minute');
hide($browser, 'false');
ok(wait_until(sub { $browser->value('CHARTS.rate.u.data[1].slice(2)'
	. '.some(value => value === null)') }), 'a gap in the chart');

# a reload

my $first = $browser->value('CHARTS.rate.u.data[0][0]');
$browser->reload();
$browser->wait_text('#about', qr/module/);
is($browser->value('CHARTS.rate.u.data[0][0]'), $first, 'the chart is kept');
$browser->open('/status?format=html&other');
$browser->wait_text('#about', qr/module/);
isnt($browser->value('CHARTS.rate.u.data[0][0]'), $first,
	'but not for another address');

is_deeply($browser->value('[...new Set(performance.getEntriesByType("resource")'
	. '.map(entry => entry.name.replace(/.*\//, "")))]'),
	[ 'status?format=json' ], 'nothing else is loaded');
is_deeply([ $browser->complaints() ], [], 'no complaints');

$load->results();

###############################################################################

# What a screen reader says of a chart's cursor.

sub spoken {
	my ($browser, $chart) = @_;

	return $browser->value(
		"document.querySelector('#$chart .chart').ariaValueText");
}

sub newest {
	my ($browser, $chart) = @_;

	return $browser->value("clock(1000 * CHARTS.$chart.u.data[0].at(-1))");
}

sub hide {
	my ($browser, $hidden) = @_;

	$browser->value("Object.defineProperty(document, 'hidden', "
		. "{ value: $hidden, configurable: true }) && "
		. "document.dispatchEvent(new Event('visibilitychange'))");
}

sub asked {
	my ($browser) = @_;

	return $browser->value('performance.getEntriesByType("resource").length');
}

###############################################################################
