#!/usr/bin/perl

# With single_use=on, of four workers of two machines that are offered one session
# at the same instant one resumes it.  The others make full handshakes, and none
# fails.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::EarlyData;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');
my $count = 200;

my @servers = ([ 'a tier of each machine', 'shared:' ], [ 'no tier', 'none' ]);

certificate($t, 'localhost');

my $store = store($t);

$t->write_file_expand('nginx.conf', config(8440));
$t->plan(6 * @servers + 1);
$t->run();
SSLSessionCache::Nginx->new($t, 'other', config(8450));

###############################################################################

ok(wait_until(sub { my $r = tls_get(8440, version => 'TLSv1.3');
	$store->wait_id(session_id($r->{session}));
	tls_get(8450, version => 'TLSv1.3', session => $r->{session})->{reused} }),
	'sessions cross machines');

foreach my $number (0 .. $#servers) {
	my ($name) = @{$servers[$number]};
	my ($one, $other) = (8440 + $number, 8450 + $number);

	$store->clear();

	my $r = early_data($one, [ $one, $one, $other, $other ], $count);
	my $resumed = $r->{resumed};

	is($r->{failed}, 0, "$name, none failed") or diag($r->{error});
	is($r->{full}, 4 * $count - $resumed, "$name, the others fully");
	cmp_ok($resumed, '>=', 0.95 * $count, "$name, resumed");
	is($r->{accepted}[1], $resumed, "$name, each once, with its early data");
	is("@{$r->{accepted}}[2 .. 4]", '0 0 0', "$name, and never twice");
	cmp_ok($r->{answers}{USED} // 0, '>', 0, "$name, told of it");
	diag(explain $r) if $ENV{TEST_NGINX_VERBOSE};
}

###############################################################################

sub config {
	my ($port) = @_;

	my $servers = join '', map {
		my $listen = $port++;
		my $cache = $_->[1] eq 'none' ? 'none' : "shared:tier$listen:5m";
		<<"EOC" } @servers;
    server {
        listen       127.0.0.1:$listen ssl;
        server_name  localhost;

        ssl_session_cache $cache;
        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% timeout=5s single_use=on;

        location / {
            return 200 \$remote_ssl_session_cache_status;
        }
    }
EOC

	return store_config(<<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.3;
    ssl_early_data      on;

$servers
}

EOC
}

###############################################################################
