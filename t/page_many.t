#!/usr/bin/perl

# The page for a person stays readable where there is much to show, on a desk and
# on a phone: many workers, stores and servers, ticket keys out of step, and names
# with markup in them, which are texts.  Otherwise it is of no use to those who
# need it most, or runs what a name server or a store has thought up.

###############################################################################

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Browser;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite/);
my $browser = SSLSessionCache::Browser->new($t);

$t->write_file_expand('nginx.conf', <<'EOF')->plan(32)->run();

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /page/ {
            if ($arg_format = json) {
                rewrite ^/page/(.*) /$1.json last;
            }

            remote_ssl_session_cache_status;
        }

        location / {
            default_type  application/json;
        }
    }
}

EOF

# workers may be another user's
chmod 0755, $t->testdir();

###############################################################################

my $now = time();

# three stores, one of many servers, and 16 workers

my @names = map { "redis 10.0.0.$_:6379" } 5, 6;
my @stores = map { store($_, workers => [ workers($_) ]) } @names;

foreach (2 .. 4) {
	@{$stores[1]{workers}[$_]}{qw/ state reason since /} = ('down',
		'connect() failed (113: No route to host)', $now - 140);
}

@{$stores[0]{workers}[7]}{qw/ suspended reason since /} = (JSON::PP::true,
	'it answers too late', $now - 60);

# as of an old worker after a reload, which serves a long connection
@{$stores[0]{workers}[9]}{qw/ state address since /} = ('down', '', 0);

push @stores, store('fleet', type => 'memcached', key_id => undef,
	key_age => undef, servers => [ map { +{ %{store("cache-$_.example.net:11211")},
		workers => [ workers("10.0.1.$_:11211") ] } } 1 .. 3 ]);

show($t, $browser, 'many', stores => \@stores, suspend => [ 'retry', 'async' ], tickets => [
	{ store => $names[0], state => 'own', key_age => 1278, epochs => 3,
		clock_behind => 40 },
	{ store => $names[1], state => 'ratcheted', key_age => 4000, epochs => 2,
		clock_behind => undef },
	{ store => 'fleet', state => 'ratcheted', key_age => 1278, epochs => 2,
		clock_behind => undef },
	{ store => 'spare', state => undef, key_age => undef, epochs => 0,
		clock_behind => undef },
]);

my $verdict = $browser->text('#verdict');

like($verdict, qr/^Store $names[1] is down in 3 of 16 workers: connect\(\) failed \(113: No route to host\), for 2 min, since /m,
	'some workers');
like($verdict, qr/^Lookups in $names[0] are suspended in 1 of 15 workers: it answers too late, for 6\d s, since /m,
	'one is suspended');
like($verdict, qr/^The ticket key of $names[0] is this machine's own: /m,
	'own ticket key');
like($verdict, qr/^The ticket key of $names[1] is derived from the one before: /m,
	'ratcheted ticket key');
like($verdict, qr/^The ticket key of fleet is derived from the one before, until/m,
	'for a short time');
unlike($verdict, qr/spare/, 'no ticket key is no trouble');
is($browser->value('document.querySelectorAll("#verdict strong").length'), 5,
	'nor is one for a short time');
like($verdict, qr/^The clock of this machine is 40 s behind another's: others seal/m, 'clock');
is($browser->text('h1'), 'TLS sessions on web1.example.net', 'host');
like($browser->value('document.title'), qr/web1.example.net/, 'in the title');
like($browser->text('#about'), qr/suspend=retry · suspend=async/,
	'ways to wait');
like($browser->text('#stores'), qr/timeout 200 ms, sealed with key 1a2b3c4d, 25 h old/,
	'sealing key');
is($browser->value('document.querySelectorAll(".cell").length'), 5 * 16,
	'a cell for each worker and server');
is($browser->value('[...document.querySelectorAll(".row")]'
	. '.map(row => Number(row.open)).join("")'), '11000', 'those in trouble are open');
like($browser->text('.row > summary'), qr/14 of 15 up/, 'of those in use');
like($browser->text('.row .groups'),
	qr/^suspended: worker 7, at .*, since .* \(6\d s\): it answers too late$/m, 'since when');
like($browser->text('.row .groups'), qr/^not in use: worker 9$/m, 'one is not in use');
like($browser->text('.row .groups'), qr/^down: workers 2–4, at \S+6379, since .* \(2 min\): connect/m,
	'with address, time and reason');
like($browser->text('.row .groups'),
	qr/^up: .*, since \d+ \w+ \d{4}, \d\d:\d\d:\d\d \(25 h\)$/m, 'with the date');
like($browser->text('#handshakes'), qr/http\s+stream\n/, 'of http and stream');
like($browser->text('#share .note'), qr/97\.6 % since start/, 'of sessions of the fleet');
is_deeply([ $browser->look('many') ], [], 'all of that can be read');

$browser->value('document.querySelectorAll("details").forEach(e => e.open = true)');
is_deeply([ $browser->look('many-open') ], [], 'also what is folded');

# down, for one reason

my @down = (state => 'down', reason => 'connection refused', since => $now - 20);
%{$_} = (%{$_}, @down, suspended => JSON::PP::false)
	foreach map { @{$_->{workers}} } @stores[0, 1];
show($t, $browser, 'down', stores => \@stores);
like($browser->text('#verdict'), qr/^2 of 3 stores down: \Q$names[0], $names[1]\E: connection refused, for 2\d s, since/,
	'stores that are down');

# in a cluster some lookups are redirected, but not most

is_deeply([ map { refused($browser, @$_) } [ 0, 3, 1 ], [ 1, 3, 1 ], [ 1, 1, 3 ] ],
	[ '1 of 4 lookups in x was refused', '', '3 of 4 lookups in x were refused' ],
	'lookups that are refused');

# names

my $name = '<img src=x onerror="document.bad = 1"><b>';
show($t, $browser, 'names', host => $name, stores => [ map { store($_, type => $name,
	key_id => $name, workers => [ map { +{ %$_, @down, reason => $name } }
		workers($name) ]) } $name, '__proto__', 'x' x 80 ],
	tickets => [ { store => $name, state => $name, key_age => 1, epochs => 1,
		clock_behind => undef } ]);

is($browser->text('h1'), "TLS sessions on $name", 'a name is a text');
like($browser->text('#stores'), qr/^\Q$name\E$/m, 'that of a store as well');
like($browser->text('#verdict'), qr/: \Q$name\E, for/, 'and a reason');
is($browser->value('document.bad || document.querySelectorAll("img, main b").length'),
	0, 'nothing else');
is_deeply([ $browser->look('names') ], [], 'all of that can be read');

# no store

show($t, $browser, 'none', stores => []);
like($browser->text('#help'), qr/remote_ssl_session_cache on addr=/, 'what to write');
is_deeply([ $browser->look('none') ], [], 'all of that can be read');

###############################################################################

# Has the browser show a page with this JSON.

sub show {
	my ($t, $browser, $page, %status) = @_;

	my @results = qw/ none foreign miss ticket_unknown unused used full down
		timeout invalid local hit ticket_old ticket /;
	my %handshakes = map { $_ => 0 } @results;

	$t->write_file("$page.json", encode_json({
		version => '1.2.3', host => 'web1.example.net', suspend => [ 'retry' ],
		now => $now, since => $now - 86400, tickets => [],
		handshakes => { %handshakes, none => 50000, foreign => 9000,
			miss => 1000, hit => 40000 },
		frontends => {
			http => { %handshakes, none => 40000, foreign => 9000, miss => 1000,
				hit => 39000 },
			stream => { %handshakes, none => 10000, hit => 1000 },
			mail => \%handshakes,
		},
		early_data => { claimed => 6, replayed => 1, unclaimed => 0 },
		%status,
	}));
	$browser->open("/page/$page");
	$browser->wait_text('#about', qr/module/);
}

# What is said of lookups in a store, or a cluster.

sub refused {
	my ($browser, $is_cluster, $found, $refused) = @_;

	my $store = { name => 'x', type => 'redis', $is_cluster ? (servers => []) : () };

	return $browser->value('lookupsRefused({ stores: [arguments[0]] }, { stores:'
		. ' new Map([["x", { found: arguments[1], refused: arguments[2] }]]) })'
		. '.map(({ what }) => what).join()', $store, $found, $refused);
}

sub store {
	my ($name, %members) = @_;

	return {
		name => $name, type => 'redis', key_id => '1a2b3c4d',
		key_time => $now - 90000, key_age => 90000, timeout => 0.2,
		lookups => { found => 41000, missing => 12, map { $_ => 0 }
			qw/ timeout refused down full / },
		lookup_seconds => { count => 41012, sum => 10.5,
			buckets => { '0.00025' => 41000, '0.5' => 12, inf => 0 } },
		sessions_sent => 120000, sessions_dropped => 2, sessions_failed => 0,
		deletes => 14, sent_bytes => 42_000_000, received_bytes => 21_000_000,
		connections => 16, failures => 3, %members,
	};
}

sub workers {
	my ($name) = @_;

	return map { +{
		worker => $_, pid => 1234567 + $_, state => 'up', reason => '',
		suspended => JSON::PP::false, since => $now - 90000,
		address => $name =~ s/^redis //r, waiting_lookups => 12,
		queued_commands => 123, queued_bytes => 123456,
	} } 0 .. 15;
}

###############################################################################
