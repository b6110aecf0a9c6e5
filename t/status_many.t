#!/usr/bin/perl

# Every store of the configuration is counted, however many there are, and a
# reload keeps the counters of those that stay, with other stores and with more
# workers.  Otherwise an operator of many stores sees some of them, and takes the
# silence of the others for health.

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

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

# The store that is there is the last one; the others are sockets without one.

my $redis = SSLSessionCache::Redis->new($t);
my ($up, $dir) = ('redis 127.0.0.1:' . port(8379), $t->testdir());
my @down = map { "redis unix:$dir/store$_" } 1 .. 24;

certificate($t, 'localhost');
configure($t, 1, 1 .. 12);
$t->plan(18)->run();

###############################################################################

my %stores = stores(wait_status(sub { store($_[0], $up)->{connections} }));

is_deeply([ sort keys %stores ], [ sort @down[0 .. 11], $up ], 'all stores');
is(@{$stores{$_}{workers}}, 1, "a worker of $_") foreach $down[11], $up;

tls_get(8443, version => 'TLSv1.2') foreach 1 .. 3;
tls_get(8444, version => 'TLSv1.2');
%stores = stores(wait_status(sub { $_[0]{handshakes}{none} == 4 }));

is($stores{$up}{sessions_sent}, 3, 'sessions of the last one');
is($stores{$down[11]}{sessions_dropped}, 1, 'and of the one before');
is($stores{$down[10]}{sessions_dropped}, 0, 'and of no other');

my $text = http_get('/status?format=prometheus');

is(() = $text =~ /_sessions_dropped_total\{store="/g, 13, 'all for Prometheus');

# other stores, and more workers

configure($t, 3, 7 .. 24);
reload($t, 3);
%stores = stores(wait_status(sub { up($_[0]) == 3 }));

is_deeply([ sort keys %stores ], [ sort @down[6 .. 23], $up ],
	'stores after a reload');
is($stores{$up}{sessions_sent}, 3, 'counters are kept');
is($stores{$down[11]}{sessions_dropped}, 1, 'and those of a store that is down');
is($stores{$down[23]}{sessions_dropped}, 0, 'and begin at zero');
is(@{$stores{$_}{workers}}, 3, "workers of $_") foreach $down[11], $down[23];

# fewer workers, and stores that come back

tls_get(8444, version => 'TLSv1.2');
wait_status(sub { store($_[0], $down[23])->{sessions_dropped} });
configure($t, 1, 1 .. 12);
reload($t, 1);
%stores = stores(wait_status(sub { @{store($_[0], $up)->{workers} // []} == 1 }));

is_deeply([ sort keys %stores ], [ sort @down[0 .. 11], $up ],
	'the stores of before');
is($stores{$up}{sessions_sent}, 3, 'its counters are kept');
is($stores{$down[11]}{sessions_dropped}, 1, 'those of one that stayed are');
is($stores{$down[0]}{sessions_dropped}, 0, 'and of one that came back');
is(@{$stores{$down[0]}{workers}}, 1, 'one worker');

###############################################################################

# A server for each of these stores on a port of its own, but for the last one,
# which is on 8444, and the store that is there, which is on 8443.

sub configure {
	my ($t, $workers, @numbers) = @_;

	my %server = map { my $listen = $_ == $numbers[-1] ? '127.0.0.1:8444'
		: "unix:%%TESTDIR%%/listen$_";
		$_ => server($listen, "addr=unix:%%TESTDIR%%/store$_")
	} @numbers;
	my $servers = join '', map { $server{$_} } @numbers;
	my $last = server('127.0.0.1:8443', 'port=%%PORT_8379%%');

	$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;
worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
$servers$last
    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF
}

sub server {
	my ($listen, $store) = @_;

	return <<"EOF";

    server {
        listen       $listen ssl;
        server_name  localhost;

        remote_ssl_session_cache $store interval=1m;

        return 200 "";
    }
EOF
}

sub stores {
	my ($status) = @_;

	return map { $_->{name} => $_ } @{$status->{stores}};
}

sub store {
	my ($status, $name) = @_;

	return { stores($status) }->{$name} // {};
}

sub up {
	my ($status) = @_;

	my $workers = store($status, $up)->{workers} // [];

	return scalar grep { $_->{state} eq 'up' } @$workers;
}

###############################################################################
