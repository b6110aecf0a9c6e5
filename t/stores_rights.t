#!/usr/bin/perl

# The users of Redis in docs/stores.md, as they are written there, can do what
# the module asks for: with one server and a fallback, behind Sentinels, and in
# a cluster.  Otherwise operators who follow it look for the missing right, or
# give all.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Daemon;
use SSLSessionCache::Redis;
use SSLSessionCache::RespClient;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl');
my $dir = $t->testdir();

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
}

remote_ssl_session_store other {
    server     127.0.0.1:%%PORT_8380%%;
    user       reader;
    auth_file  store.password;
}

remote_ssl_session_store one {
    server     127.0.0.1:%%PORT_8379%%;
    user       nginx;
    auth_file  store.password;
    fallback   other;
}

remote_ssl_session_store found {
    sentinel            sessions;
    server              127.0.0.1:%%PORT_8382%%;
    user                nginx;
    auth_file           store.password;
    sentinel_user       nginx;
    sentinel_auth_file  sentinel.password;
}

remote_ssl_session_store cluster {
    cluster    on;
    server     127.0.0.1:%%PORT_8383%%;
    user       nginx;
    auth_file  store.password;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        remote_ssl_session_cache store=one;
    }

    server {
        listen       127.0.0.1:8444 ssl;
        remote_ssl_session_cache port=%%PORT_8380%%;
    }

    server {
        listen       127.0.0.1:8445 ssl;
        remote_ssl_session_cache store=found;
    }

    server {
        listen       127.0.0.1:8446 ssl;
        remote_ssl_session_cache store=cluster;
    }

    server {
        listen       127.0.0.1:8447 ssl;
        remote_ssl_session_cache store=one prefix=sslsessioncache:keys: key=cache.key;
        remote_ssl_session_tickets on;
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');
$t->write_file('store.password', 'secret');
$t->write_file('sentinel.password', 'sesame');

my $docs = do { local (@ARGV, $/) = "$FindBin::Bin/../docs/stores.md"; <> };
my ($section) = $docs =~ /^## Rights\n(.*?)^## /ms;
my @users = map { [ split ' ' ] } $section =~ /^user ((?:nginx|reader) .*)/mg;

my ($one, $other, $master) = map { redis($t, $_) } 8379 .. 8381;
my $cluster = redis($t, 8383, '--cluster-enabled', 'yes',
	'--cluster-config-file', "$dir/nodes.conf");

$cluster->command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383);
wait_until(sub { $cluster->command('CLUSTER', 'INFO') =~ /cluster_state:ok/ });

my @stores = ($one, $master, $cluster, $other);
my ($for_sentinels) = splice @users, 2, 1;
$stores[$_]->command('ACL', 'SETUSER', @{$users[$_]}) foreach 0 .. $#stores;

my ($tickets) = $section =~ /remote_ssl_session_tickets\]\(tickets\.md\) \| `(\+\w+)`/;
$one->command('ACL', 'SETUSER', 'nginx', $tickets);

$t->write_file('sentinel.conf', <<"EOF");
bind 127.0.0.1
port @{[ port(8382) ]}
dir $dir
logfile $dir/sentinel.log
sentinel monitor sessions 127.0.0.1 $master->{port} 1
user @$for_sentinels
EOF

SSLSessionCache::Daemon->new($t)->launch('redis-server', "$dir/sentinel.conf",
	'--sentinel');

$t->plan(13)->run();

###############################################################################

is(@users, @stores, 'users');

foreach my $case ([ 8443, 8443, 'one server' ], [ 8444, 8443, 'fallback' ],
	[ 8445, 8445, 'Sentinel' ], [ 8446, 8446, 'cluster' ])
{
	my ($made, $offered, $name) = @$case;

	ok(wait_until(sub { resumed($_, $made, $offered) }), "$name, $_")
		foreach 'TLSv1.2', 'TLSv1.3';
}

ok(wait_until(sub { grep { /^sslsessioncache:keys:/ } $one->keys() }), 'ticket keys');
is($cluster->command('ACL', 'DRYRUN', 'nginx', 'ASKING'), 'OK', 'ASKING');

is(join('', map { map { "@$_\n" } @{$_->command('ACL', 'LOG')} } @stores), '',
	'nothing is refused');
is(ask(connected(8382), 'ACL', 'LOG'), "*0\r\n", 'nor by the Sentinel');

###############################################################################

sub resumed {
	my ($version, $made, $offered) = @_;

	my $r = tls_get($made, version => $version);

	return tls_get($offered, version => $version,
		session => $r->{session})->{reused};
}

sub redis {
	my ($t, $port, @args) = @_;

	return SSLSessionCache::Redis->new($t, port => $port, args => \@args);
}

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new('127.0.0.1:' . port($port));
}

###############################################################################
