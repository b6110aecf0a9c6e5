#!/usr/bin/perl

# The status page counts what happens, over all workers and over reloads, as
# JSON and for Prometheus, and shows the workers that there are.  Without it an
# operator cannot tell whether the cache is of use, and is told of its troubles
# by the users.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    server {
        listen       127.0.0.1:8443 ssl reuseport;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
        ssl_verify_client optional_no_ca;

        # OpenSSL then tells twice of the end of a handshake
        ssl_early_data on;

        location / {
            return 200 "$pid";
        }
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(47)->run();

###############################################################################

my $name = 'redis 127.0.0.1:' . port(8379);
my $s = wait_status(sub { up($_[0]) == 2 });

is(@{$s->{stores}}, 1, 'one store');
is($s->{stores}[0]{name}, $name, 'its name');
is(up($s), 2, 'connections of two workers');
is($s->{stores}[0]{connections}, 2, 'connections');
is(sum($s->{handshakes}), 0, 'no handshakes');
cmp_ok($s->{now} - $s->{since}, '<', 60, 'time');

# known events

my %workers;
my @made = map { full('TLSv1.2') } 1 .. 10;
push @made, map { full('TLSv1.3') } 1 .. 10;
offer($_) for @made;

my $key = $redis->key(session_id($made[0]{session}));
$redis->command('SET', $key, 'something else');
offer($made[0]);
wait_until(sub { !$redis->command('EXISTS', $key) });
offer($made[0]);

$s = wait_status(sub { sum($_[0]{handshakes}) == 42 });
my $store = $s->{stores}[0];

is(keys %workers, 2, 'both workers had clients');
is(sum($s->{handshakes}), 42, 'handshakes');
is($s->{handshakes}{none}, 20, 'nothing offered');
is($s->{handshakes}{hit}, 20, 'hits');
is($s->{handshakes}{invalid}, 1, 'invalid');
is($s->{handshakes}{miss}, 1, 'miss');
is_deeply($s->{frontends}{http}, $s->{handshakes}, 'all of them of http{}');
is(sum($s->{frontends}{stream}) + sum($s->{frontends}{mail}), 0,
	'none of stream{} and mail{}, which are not there');
is($store->{lookups}{found}, 21, 'found');
is($store->{lookups}{missing}, 1, 'missing');
is($store->{lookup_seconds}{count}, 22, 'lookup times');
is(sum($store->{lookup_seconds}{buckets}), 22, 'buckets');
cmp_ok($store->{lookup_seconds}{sum}, '>', 0, 'sum of times');

# TLS 1.2: one for each session; TLS 1.3: two, and one for a resumption

is($store->{sessions_sent}, 12 + 10 * 3, 'sessions');
is($store->{sessions_failed}, 0, 'no sessions failed');
is($store->{deletes}, 1, 'deletes');
cmp_ok($store->{sent_bytes}, '>', 42 * 100, 'bytes sent');
cmp_ok($store->{received_bytes}, '>', 21 * 100, 'bytes received');

# sessions that are too large, for the client's certificate in them

my $large = certificate($t, 'large', names => 1000);

is(tls_get(8443, version => $_, cert => $large)->{reused}, 0, "$_, large")
	foreach 'TLSv1.2', 'TLSv1.3';
$s = wait_status(sub { $_[0]{stores}[0]{sessions_dropped} == 3 });

is($s->{stores}[0]{sessions_dropped}, 3, 'sessions dropped');

# Prometheus

my $text = http_get('/status?format=prometheus');
my $prefix = 'nginx_remote_ssl_session_cache';
my $of = labels($s->{stores}[0]);

like($text, qr/^Content-Type: text\/plain; version=0\.0\.4/mi, 'its type');
like($text, qr/^${prefix}_handshakes_total\{frontend="http",result="hit"\} 20$/m,
	'its handshakes');
like($text, qr/^${prefix}_lookup_duration_seconds_count\{$of\} 22$/m,
	'its histogram');
like($text, qr/_bucket\{$of,le="\+Inf"\} 22$/m, 'its buckets');
is(() = $text =~ /^${prefix}_up\{$of,worker="[01]"\} 1$/mg, 2,
	'its gauges');
is_deeply({ $text =~ /^${prefix}_(\S.*) (\S+)$/mg }, { prometheus($s) },
	'the same numbers as in JSON');
like(http(<<'EOF'), qr/^# TYPE/m, 'by Accept');
GET /status HTTP/1.0
Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4

EOF

# a reload, while the workers before it have lookups under way

my $master = master($t);
my %old = map { $_ => 1 } workers($master);
my @clients = waiting(10);
$t->reload();
$s = wait_status(sub { !grep { $old{$_->{pid}} }
	@{$_[0]{stores}[0]{workers}} });

is(gauge($s, 'waiting_lookups'), 0, 'new workers are shown');

$redis->thaw();
$_->handshake() foreach splice @clients;
wait_until(sub { !grep { $old{$_} } workers($master) });
$s = wait_status(sub { up($_[0]) == 2 && $_[0]{handshakes}{hit} == 30 });

is($s->{handshakes}{hit}, 30, 'a reload forgets nothing');

# lookups under way, and a worker that dies with them

@clients = waiting(10);
$s = status();

is(gauge($s, 'waiting_lookups'), 10, 'waiting lookups');
is(gauge($s, 'queued_commands'), 10, 'queued commands');
cmp_ok(gauge($s, 'queued_bytes'), '>', 10 * 40, 'queued bytes');

my ($victim) = sort { $b->{waiting_lookups} <=> $a->{waiting_lookups} }
	@{$s->{stores}[0]{workers}};
my $left = 10 - $victim->{waiting_lookups};

$t->todo_alerts();
kill 'KILL', $victim->{pid};
$s = wait_status(sub { !grep { $_->{pid} == $victim->{pid} }
	@{$_[0]{stores}[0]{workers}} });

is(gauge($s, 'waiting_lookups'), $left, 'those of the dead worker are gone');

$redis->thaw();
eval { $_->handshake() } foreach @clients;
$s = wait_status(sub { up($_[0]) == 2 && $_[0]{handshakes}{hit} == 30 + $left });

is($s->{handshakes}{hit}, 30 + $left, 'a crash forgets nothing');
is(gauge($s, 'waiting_lookups'), 0, 'nothing waits any more');
is(up($s), 2, 'the new worker is shown');

# a worker that dies while it retires, so that no other takes its place

my ($first, $retiring) = map { $_->{pid} } @{$s->{stores}[0]{workers}};

kill 'STOP', $retiring;
$t->write_file_expand('nginx.conf', $config =~ s/processes 2/processes 1/r);
$t->reload();
$s = wait_status(sub { !grep { $_->{worker} == 0 && $_->{pid} == $first }
	@{$_[0]{stores}[0]{workers}} });

is(scalar grep({ $_->{pid} == $retiring } @{$s->{stores}[0]{workers}}), 1,
	'a retiring worker is shown');

kill 'KILL', $retiring;
$s = wait_status(sub { @{$_[0]{stores}[0]{workers}} == 1 });

is(@{$s->{stores}[0]{workers}}, 1, 'a dead one is not');

# a store that goes

$redis->stop();
$s = wait_status(sub { up($_[0]) == 0 });

is(up($s), 0, 'store is down');
offer($made[5]);
$s = wait_status(sub { $_[0]{handshakes}{down} });
is($s->{handshakes}{down}, 1, 'handshake without the store');

###############################################################################

sub full {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));
	$workers{$r->{body}} = 1;

	return $r;
}

sub offer {
	my ($made) = @_;

	my $r = tls_get(8443, version => $made->{version},
		session => $made->{session});
	$workers{$r->{body}} = 1;
}

# Clients whose lookups the store does not answer.

sub waiting {
	my ($count) = @_;

	$redis->freeze();

	my @clients = map { tls_hello(8443, version => 'TLSv1.2',
		session => $made[5]{session}) } 1 .. $count;
	wait_status(sub { gauge($_[0], 'waiting_lookups') == $count });

	return @clients;
}

sub up {
	my ($status) = @_;

	my $workers = $status->{stores}[0]{workers} // [];

	return scalar grep { $_->{state} eq 'up' } @$workers;
}

sub gauge {
	my ($status, $name) = @_;

	return sum({ map { $_->{worker} => $_->{$name} }
		@{$status->{stores}[0]{workers}} });
}

# What the text for Prometheus is to say, without the prefix of its names.

sub prometheus {
	my ($status) = @_;

	my ($frontends, $s) = ($status->{frontends}, $status->{stores}[0]);
	my ($lookups, $times) = @$s{qw/ lookups lookup_seconds /};
	my $of = labels($s);
	my ($info, $suspend) = ($status->{version}, $status->{suspend});
	my %text = (
		qq(info{version="$info",suspend="@$suspend"}) => 1,
		qq(lookup_timeout_seconds{store="$s->{name}",type="$s->{type}"})
			=> $s->{timeout},
		start_time_seconds => $status->{since},
	);

	# those of stream{} and mail{} are not, as neither has the cache

	$text{qq(handshakes_total{frontend="http",result="$_"})}
		= $frontends->{http}{$_} foreach keys %{$frontends->{http}};

	$text{qq(early_data_total{result="$_"})} = $status->{early_data}{$_}
		foreach keys %{$status->{early_data}};
	$text{qq(lookups_total{$of,result="$_"})} = $lookups->{$_}
		foreach keys %$lookups;
	$text{"${_}_total{$of}"} = $s->{$_}
		foreach qw/ sessions_sent sessions_dropped sessions_failed deletes
			sent_bytes received_bytes connections failures /;

	my $duration = 'lookup_duration_seconds';
	my $count = 0;

	foreach (sort { $a <=> $b } keys %{$times->{buckets}}) {
		my $bound = $_ eq 'inf' ? '+Inf' : $_;
		$count += $times->{buckets}{$_};
		$text{qq(${duration}_bucket{$of,le="$bound"})} = $count;
	}

	$text{"${duration}_$_\{$of}"} = $times->{$_} foreach qw/ count sum /;

	foreach my $worker (@{$s->{workers}}) {
		my $labels = qq({$of,worker="$worker->{worker}"});
		$text{"up$labels"} = $worker->{state} eq 'up' ? 1 : 0;
		$text{"lookups_suspended$labels"} = $worker->{suspended} ? 1 : 0;
		$text{"$_$labels"} = $worker->{$_}
			foreach qw/ waiting_lookups queued_commands queued_bytes /;
		chop $labels;
		$text{qq(address$labels,address="$worker->{address}"})} = 1;
	}

	return %text;
}

# Those of a store of one server.

sub labels {
	my ($store) = @_;

	my ($server) = $store->{name} =~ /^\w+ (.*)/;

	return qq(store="$store->{name}",type="$store->{type}",server="$server");
}

sub sum {
	my ($counts) = @_;

	my $sum = 0;
	$sum += $_ foreach values %$counts;

	return $sum;
}

###############################################################################
