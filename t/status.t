#!/usr/bin/perl

# The status page counts what happens, over all workers and over reloads, as
# JSON and for Prometheus.  Without it an operator cannot tell whether the
# cache is of use, and is told of its troubles by the users.

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

$t->write_file_expand('nginx.conf', <<'EOF');

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

        remote_ssl_session_cache port=%%PORT_8379%%;

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

$t->plan(34)->run();

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

# Prometheus

my $text = http_get('/status?format=prometheus');
my $prefix = 'nginx_remote_ssl_session_cache';

like($text, qr/^Content-Type: text\/plain; version=0\.0\.4/mi, 'its type');
like($text, qr/^${prefix}_handshakes_total\{result="hit"\} 20$/m,
	'its handshakes');
like($text, qr/^${prefix}_lookup_duration_seconds_count\{store="$name"\} 22$/m,
	'its histogram');
like($text, qr/_bucket\{store="$name",le="\+Inf"\} 22$/m, 'its buckets');
is(() = $text =~ /^${prefix}_up\{store="$name",worker="[01]"\} 1$/mg, 2,
	'its gauges');
like(http(<<'EOF'), qr/^# TYPE/m, 'by Accept');
GET /status HTTP/1.0
Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4

EOF

# a reload, and a worker that dies

my $master = master($t);
my %old = map { $_ => 1 } workers($master);
$t->reload();
wait_until(sub { !grep { $old{$_} } workers($master) });
$s = wait_status(sub { up($_[0]) == 2 });

is($s->{handshakes}{hit}, 20, 'a reload forgets nothing');
is(scalar grep({ $old{$_->{pid}} } @{$s->{stores}[0]{workers}}), 0,
	'new workers are shown');

my ($victim) = workers($master);
$t->todo_alerts();
kill 'KILL', $victim;
$s = wait_status(sub {
	up($_[0]) == 2 && !grep { $_->{pid} == $victim }
		@{$_[0]{stores}[0]{workers}};
});

is($s->{handshakes}{hit}, 20, 'nor does a crash');
is(up($s), 2, 'the new worker is shown');

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

sub up {
	my ($status) = @_;

	my $workers = $status->{stores}[0]{workers} // [];

	return scalar grep { $_->{state} eq 'up' } @$workers;
}

sub sum {
	my ($counts) = @_;

	my $sum = 0;
	$sum += $_ foreach values %$counts;

	return $sum;
}

###############################################################################
