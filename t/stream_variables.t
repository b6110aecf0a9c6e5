#!/usr/bin/perl

# In stream{} as well, $remote_ssl_session_cache_status and
# $remote_ssl_session_cache_time tell how the handshake of a connection went, in
# what is answered and in the log.  Without them an operator sees full handshakes
# and cannot tell why they are.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = has_stream(Test::Nginx->new());

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    log_format  stream  "$server_port [$remote_ssl_session_cache_status] "
                        "[$remote_ssl_session_cache_time]";
    access_log  %%TESTDIR%%/stream.log stream;

    server {
        listen  127.0.0.1:8443 ssl;

        remote_ssl_session_cache port=%%PORT_8379%% timeout=300ms;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen  127.0.0.1:8444 ssl;

        remote_ssl_session_cache port=%%PORT_8379%%;
        ssl_session_cache shared:SSL:1m;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen  127.0.0.1:8445 ssl;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen  127.0.0.1:8446 ssl;

        remote_ssl_session_cache port=%%PORT_8378%% count=1 timeout=5s interval=1m;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen  127.0.0.1:8447 ssl;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }

    server {
        listen  127.0.0.1:8080;

        remote_ssl_session_cache port=%%PORT_8379%%;

        return  "[$remote_ssl_session_cache_status] [$remote_ssl_session_cache_time]";
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
SSLSessionCache::Link->new($t, delay => 0.4);
certificate($t, 'localhost');
seal_key($t, 'cache.key');

$t->plan(27)->run();

###############################################################################

my $looked = qr/\[0\.\d{3}\]/;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my %client = (version => $version);

	my $r = full(8443, %client);
	is($r->{body}, '[] []', "$version, nothing offered");

	my $local = full(8444, %client);
	$client{session} = $local->{session};
	is(stream_get(8444, %client)->{body}, '[LOCAL] []', "$version, local");

	$client{session} = $r->{session};
	like(stream_get(8443, %client)->{body}, qr/^\[HIT\] $looked$/,
		"$version, hit");
	is(stream_get(8445, %client)->{body}, '[FOREIGN] []', "$version, foreign");
	is(stream_get(8447, %client)->{body}, '[] []', "$version, cache is off");

	my $key = $redis->key(session_id($r->{session}));
	$redis->command('SET', $key, 'something else');
	like(stream_get(8443, %client)->{body}, qr/^\[INVALID\] $looked$/,
		"$version, invalid");

	wait_until(sub { !$redis->command('EXISTS', $key) });
	like(stream_get(8443, %client)->{body}, qr/^\[MISS\] $looked$/,
		"$version, miss");
}

my $socket = IO::Socket::INET->new('127.0.0.1:' . port(8080));
is(<$socket>, '[] []', 'connection without TLS');

# more commands than may wait

my @clients = map { {
	version => $_,
	session => full(8443, version => $_)->{session},
} } 'TLSv1.2', 'TLSv1.3';
my ($first) = @clients;

ok(wait_until(sub { stream_get(8446, %$first)->{reused} }), 'slow link is up');
$redis->forget_calls();

my $waiting = tls_hello(8446, %$first);
$redis->wait_calls('get', 1);
is(stream_get(8446, %$_)->{body}, '[FULL] []', "$_->{version}, full")
	foreach @clients;
like(stream_talk($waiting)->{body}, qr/^\[HIT\] \[0\.[7-9]\d\d\]$/,
	'hit after a wait');

# a store that does not answer: not when it is just being probed for its idleness

foreach my $client (@clients) {
	my $version = $client->{version};

	wait_until(sub { stream_get(8443, %$first)->{reused} });
	$redis->freeze();

	like(stream_get(8443, %$client)->{body}, qr/^\[TIMEOUT\] \[0\.[34]\d\d\]$/,
		"$version, timeout");
	is(stream_get(8443, %$client)->{body}, '[DOWN] []', "$version, down");

	$redis->thaw();
}

# the log

$t->stop();

my $log = $t->read_file('stream.log');
my ($port, $plain) = (port(8443), port(8080));

like($log, qr/^$port \[-\] \[-\]$/m, 'log, nothing offered');
like($log, qr/^$port \[HIT\] $looked$/m, 'log, hit');
like($log, qr/^$port \[DOWN\] \[-\]$/m, 'log, down');
like($log, qr/^$plain \[-\] \[-\]$/m, 'log, connection without TLS');

###############################################################################

sub full {
	my ($port, %opts) = @_;

	my $r = stream_get($port, %opts);
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

###############################################################################
