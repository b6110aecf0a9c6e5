#!/usr/bin/perl

# $remote_ssl_session_cache_status and $remote_ssl_session_cache_time tell how
# the handshake of a connection went, with each of its requests.  Without them
# an operator sees full handshakes and cannot tell why they are.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    log_format  cache  "$server_port [$remote_ssl_session_cache_status] "
                       "[$remote_ssl_session_cache_time]";
    access_log  %%TESTDIR%%/cache.log cache;

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:8080;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% timeout=300ms;

        location / {
            add_header X-Status $remote_ssl_session_cache_status;
            return 200 "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;
        ssl_session_cache shared:SSL:1m;

        return 200 "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        return 200 "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%% count=1 timeout=5s interval=1m;

        return 200 "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen       127.0.0.1:8447 ssl;
        server_name  localhost;

        return 200 "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
SSLSessionCache::Link->new($t, delay => 0.4);
certificate($t, 'localhost');
seal_key($t, 'cache.key');

$t->plan(32)->run();

###############################################################################

my $looked = qr/\[0\.\d{3}\]/;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my %client = (version => $version);

	my $r = full(8443, %client);
	is($r->{body}, '[] []', "$version, nothing offered");

	my $local = full(8444, %client);
	$client{session} = $local->{session};
	is(tls_get(8444, %client)->{body}, '[LOCAL] []', "$version, local");

	$client{session} = $r->{session};
	like(tls_get(8443, %client)->{body}, qr/^\[HIT\] $looked$/,
		"$version, hit");
	is(tls_get(8445, %client)->{body}, '[FOREIGN] []', "$version, foreign");
	is(tls_get(8447, %client)->{body}, '[] []', "$version, cache is off");

	like(keepalive(8443, %client), qr/^(\[HIT\] $looked)\1$/,
		"$version, keepalive");

	my $key = $redis->key(session_id($r->{session}));
	$redis->command('SET', $key, 'something else');
	like(tls_get(8443, %client)->{body}, qr/^\[INVALID\] $looked$/,
		"$version, invalid");

	wait_until(sub { !$redis->command('EXISTS', $key) });
	like(tls_get(8443, %client)->{body}, qr/^\[MISS\] $looked$/,
		"$version, miss");
}

like(http_get('/'), qr/^\[\] \[\]$/m, 'connection without TLS');

# more commands than may wait

my @clients = map { {
	version => $_,
	session => full(8443, version => $_)->{session},
} } 'TLSv1.2', 'TLSv1.3';
my ($first) = @clients;

ok(wait_until(sub { tls_get(8446, %$first)->{reused} }), 'slow link is up');
$redis->forget_calls();

my $waiting = tls_hello(8446, %$first);
$redis->wait_calls('get', 1);
is(tls_get(8446, %$_)->{body}, '[FULL] []', "$_->{version}, full")
	foreach @clients;
like($waiting->get('/')->{body}, qr/^\[HIT\] \[0\.[7-9]\d\d\]$/,
	'hit after a wait');

# a store that does not answer: not when it is just being probed for its idleness

foreach my $client (@clients) {
	my $version = $client->{version};

	wait_until(sub { tls_get(8443, %$first)->{reused} });
	$redis->freeze();

	my $late = tls_get(8443, %$client);
	like($late->{body}, qr/^\[TIMEOUT\] \[0\.[34]\d\d\]$/,
		"$version, timeout");
	like($late->{response}, qr/^X-Status: TIMEOUT\r$/m,
		"$version, in a header");
	is(tls_get(8443, %$client)->{body}, '[DOWN] []', "$version, down");

	$redis->thaw();
}

# the log

$t->stop();

my $log = $t->read_file('cache.log');
my $port = port(8443);

like($log, qr/^$port \[-\] \[-\]$/m, 'log, nothing offered');
like($log, qr/^$port \[HIT\] $looked$/m, 'log, hit');
like($log, qr/^$port \[DOWN\] \[-\]$/m, 'log, down');
is(() = $log =~ /^$port \[HIT\]/mg, 8, 'log, every request');
is(() = $log =~ /^$port \[MISS\]/mg, 2, 'log, miss');

###############################################################################

sub full {
	my ($port, %opts) = @_;

	my $r = tls_get($port, %opts);
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

# The bodies of two requests over one connection.

sub keepalive {
	my ($port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();
	my $request = "GET / HTTP/1.1\r\nHost: localhost\r\n";
	my $received = '';

	$client->write("$request\r\n");
	$received .= $client->read() until $received =~ /\r\n\r\n.+/s;
	$client->write("${request}Connection: close\r\n\r\n");

	while (length(my $part = $client->read())) {
		$received .= $part;
	}

	return join '', $received =~ /^(\[.*?\] \[.*?\])/mg;
}

###############################################################################
