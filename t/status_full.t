#!/usr/bin/perl

# Where the shared memory of the counters has no room for a store, the log says
# so once, and the others are counted as ever; a store gets the room of one that
# is gone as soon as no worker counts there any more, and begins at zero.
# Otherwise nginx does not start, or one store's numbers are taken for another's.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

# So many stores of so many workers fill the zone, and three more do not fit.

my $workers = 32;
my ($count, $total) = (120, 123);

certificate($t, 'localhost');
configure($t, 1 .. $total);
$t->plan(7)->run();

###############################################################################

is_deeply(counted($t, $total), { map { name($t, $_) => $workers } 1 .. $count },
	'as many stores as there is room for');
is(told($t), 1, 'the log says so once');
unlike($t->read_file('error.log'), qr/ngx_slab_alloc/, 'and nginx says nothing');

# other stores, while the workers before have yet to exit

configure($t, $total + 1 .. $total + $count);
reload($t, $workers);

is_deeply(counted($t, $total + $count), {}, 'no store gets the room of another');
is(told($t), 2, 'and the log says so');

# once they are gone

reload($t, $workers);

is_deeply(counted($t, $total + 2 * $count),
	{ map { name($t, $_) => $workers } $total + 1 .. $total + $count },
	'the stores get the room of those that are gone, and begin at zero');
is(told($t), 2, 'nothing is told');

###############################################################################

sub configure {
	my ($t, @numbers) = @_;

	my $servers = join '', map { <<"EOF" } @numbers;

    server {
        listen       unix:%%TESTDIR%%/listen$_ ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=unix:%%TESTDIR%%/store$_ interval=10m;
    }
EOF

	$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;
worker_processes $workers;

events {
    worker_connections 512;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
$servers
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

sub name {
	my ($t, $number) = @_;

	return 'redis unix:' . $t->testdir() . "/store$number";
}

# How often workers have failed to connect to each store that is counted, once
# each worker has done so once, and so many times all of those before it.

sub counted {
	my ($t, $before) = @_;

	wait_until(sub {
		my @down = $t->read_file('error.log') =~ /is down: connect/g;
		@down >= $before * $workers;
	});

	my $text = http_get('/status?format=prometheus');

	return { $text =~ /_failures_total\{store="(.*?)",.*?\} (\d+)$/mg };
}

sub told {
	my ($t) = @_;

	return scalar grep { /zone of the counters is full/ }
		split /\n/, $t->read_file('error.log');
}

###############################################################################
