#!/usr/bin/perl

# Each number that Prometheus gets of a store has labels for its name, its type and
# the address that is configured, also of a store of one server; what belongs to
# none of many servers, and a store whose master Sentinels know, has no address.
# Otherwise a query by server misses some of the stores, or counts some twice.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

# None of these servers is there.

my %stores = (
	one => 'server LOCALHOST:%%PORT_8379%%;',
	many => 'server 127.0.0.1:%%PORT_8378%%; server unix:%%TESTDIR%%/socket;',
	told => 'server 127.0.0.1:%%PORT_8377%%; sentinel mymaster;',
	items => 'server [::1]:%%PORT_8376%%; type memcached;',
);
my $blocks = join '', map { "remote_ssl_session_store $_ { $stores{$_} }\n" }
	sort keys %stores;
my $listen = 8443;
my $servers = join '', map { server($listen++, $_) } (map { "store=$_" }
	sort keys %stores), 'port=%%PORT_8375%%', 'addr=unix:%%TESTDIR%%/other';

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;

events {
}

$blocks

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

certificate($t, 'localhost');
$t->plan(4)->run();

###############################################################################

my ($dir, %port) = ($t->testdir(), map { $_ => port($_) } 8375 .. 8379);
my $line = "127.0.0.1:$port{8375}";
my @named = (
	"items memcached [::1]:$port{8376}",
	"many redis 127.0.0.1:$port{8378}",
	"many redis unix:$dir/socket",
	"one redis localhost:$port{8379}",
	"redis $line redis $line",
	"redis unix:$dir/other redis unix:$dir/other",
	'told redis',
);

wait_status(sub { my %s = map { $_->{name} => $_ } @{$_[0]{stores}};
	@{$s{many}{servers} // []} == 2 });

is_deeply([ labels('up') ], [ sort @named ], 'of workers');
is_deeply([ labels('lookups_total') ], [ sort @named, 'many redis' ],
	'of counters');
is_deeply([ labels('lookup_duration_seconds_count') ],
	[ sort @named, 'many redis' ], 'of the histogram');
is_deeply([ labels('lookup_timeout_seconds') ],
	[ sort "redis $line redis", "redis unix:$dir/other redis",
		'items memcached', map { "$_ redis" } qw/ many one told / ],
	'of the store');

###############################################################################

# The values of store, type and server, each once.

sub labels {
	my ($metric) = @_;

	my ($text) = http_get('/status?format=prometheus');
	my %seen;

	while ($text =~ /^nginx_remote_ssl_session_cache_$metric\{(.*)\} \S+$/mg) {
		my %labels = $1 =~ /(\w+)="(.*?)"/g;
		$seen{join ' ', grep { defined } @labels{qw/ store type server /}} = 1;
	}

	return sort keys %seen;
}

sub server {
	my ($port, $store) = @_;

	return <<"EOF";

    server {
        listen       127.0.0.1:$port ssl;
        server_name  localhost;

        remote_ssl_session_cache $store;
    }
EOF
}

###############################################################################
