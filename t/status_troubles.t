#!/usr/bin/perl

# The status page tells the troubles with a store apart: what it refuses, what
# it does not answer, what is not even sent, and connections that are lost.
# Otherwise an operator looks for the reason in the wrong place.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/ sleep /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% timeout=300ms;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%% timeout=300ms;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8377%% count=1 timeout=5s
                                 interval=1m;

        return 200 "";
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
my $link = SSLSessionCache::Link->new($t, port => 8377);
$t->run_daemon(\&slow_store);
certificate($t, 'localhost');

$t->plan(15)->run();

###############################################################################

my $s = wait_store(8379, sub { $_[0]{workers}[0]{state} eq 'up' });
my $r = tls_get(8443, version => 'TLSv1.2');
$redis->wait_id(session_id($r->{session}));

# commands that are refused

$redis->command('ACL', 'SETUSER', 'default', '-get', '-setex');
is(offer(8443)->{reused}, 0, 'refused');
$s = wait_store(8379, sub { $_[0]{sessions_failed} == 1 });
$redis->command('ACL', 'SETUSER', 'default', '+get', '+setex');

is($s->{lookups}{refused}, 1, 'lookup refused');
is($s->{sessions_failed}, 1, 'session refused');
is($s->{failures}, 0, 'connection kept');

# a session that is not confirmed, and the connection is lost

is(offer(8443)->{reused}, 1, 'not being probed');
$redis->freeze();
tls_get(8443, version => 'TLSv1.2');
$s = wait_store(8379, sub { $_[0]{failures} == 1 });

is($s->{failures}, 1, 'connection lost');
is($s->{sessions_failed}, 2, 'session not confirmed');

my $down = $s->{lookups}{down};
offer(8443);
$s = wait_store(8379, sub { $_[0]{lookups}{down} == $down + 1 });
is($s->{lookups}{down}, $down + 1, 'lookup without a connection');
is($s->{sessions_dropped}, 1, 'session without a connection');

# a lookup that is not answered

$redis->thaw();
wait_store(8379, sub { $_[0]{workers}[0]{state} eq 'up' });
is(offer(8443)->{reused}, 1, 'not being probed');
$redis->freeze();
offer(8443);
is(store(8379)->{lookups}{timeout}, 1, 'lookup too late');
$redis->thaw();

# more commands than may wait

wait_store(8377, sub { $_[0]{workers}[0]{state} eq 'up' });
$link->signal('STOP');
my $waiting = tls_hello(8445, version => 'TLSv1.2', session => $r->{session});
wait_store(8377, sub { $_[0]{workers}[0]{waiting_lookups} });
offer(8445);
is(store(8377)->{lookups}{full}, 1, 'lookup too many');
$link->signal('CONT');
is($waiting->get('/')->{reused}, 1, 'the other one found');

# lookups that are always late

wait_store(8378, sub { $_[0]{workers}[0]{state} eq 'up' });
my @clients = map { tls_hello(8444, version => 'TLSv1.2',
	session => $r->{session}) } 1 .. 10;
$s = wait_store(8378, sub { $_[0]{workers}[0]{suspended} });

is($s->{workers}[0]{state} . ' ' . $s->{failures}, 'up 0',
	'lookups suspended, connection up');
like(http_get('/status?format=prometheus'), qr/lookups_suspended\{.*\} 1$/m,
	'for Prometheus');

###############################################################################

sub offer {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2', session => $r->{session});
}

# Answers, but one command at a time, so that of many the last ones are late.

sub slow_store {
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1:' . port(8378),
		Listen => 128,
		ReuseAddr => 1,
	)
		or die "Can't listen: $!\n";

	while (my $client = $listener->accept()) {
		while (sysread $client, my $commands, 65536) {
			foreach ($commands =~ /\n(PING|GET)\r\n/g) {
				sleep 0.1;
				syswrite $client,
					$_ eq 'PING' ? "+PONG\r\n" : "\$-1\r\n";
			}
		}
	}
}

sub store {
	my ($port, $status) = @_;

	my $name = 'redis 127.0.0.1:' . port($port);
	my ($store) = grep { $_->{name} eq $name }
		@{($status // status())->{stores}};

	return $store;
}

sub wait_store {
	my ($port, $condition) = @_;

	return store($port, wait_status(sub {
		$condition->(store($port, $_[0]));
	}));
}

###############################################################################
