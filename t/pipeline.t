#!/usr/bin/perl

# A worker keeps one connection to the store, and all lookups of one turn of
# its event loop leave in one write.  Otherwise a burst of clients costs a
# connection, a system call or a round trip each.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use List::Util qw/ max /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

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

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $link = SSLSessionCache::Link->new($t, delay => 0.1);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(6)->run();

###############################################################################

my $lookups = 40;
my $worker = worker($t);

my @sessions = map { tls_get(8443, version => 'TLSv1.2')->{session} }
	1 .. $lookups;
$redis->wait_id(session_id($_)) foreach @sessions;

ok(wait_until(sub { offer(8444, $sessions[0])->{reused} }), 'link is up');
is($redis->clients(), 2, 'a connection to each store');

# all hellos come in one turn: the worker is held still meanwhile

my $connections = connections($worker);
my @sockets = map { IO::Socket::INET->new('127.0.0.1:' . port(8444)) } @sessions;
wait_until(sub { connections($worker) == $connections + $lookups });

kill 'STOP', $worker;
select undef, undef, undef, 0.1;
my @clients = map { tls_hello(8444, version => 'TLSv1.2', session => $_,
	socket => shift @sockets) } @sessions;
kill 'CONT', $worker;

my @got = map { my $c = $_; eval { $c->get('/') } // {} } @clients;

is(grep({ $_->{reused} } @got), $lookups, 'all resumed');
is(max($link->reads()), $lookups, 'all lookups in one write');
is($redis->clients(), 2, 'no other connection after a burst');

# another nginx of two workers

SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr
	=~ s/daemon off;/daemon off; worker_processes 2;/r =~ s/PORT_8378/PORT_8379/r);

is(wait_until(sub { $redis->clients() == 4 }), 1, 'a connection of each worker');

###############################################################################

sub offer {
	my ($port, $session) = @_;

	return tls_get($port, version => 'TLSv1.2', session => $session);
}

###############################################################################
