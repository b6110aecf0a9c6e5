#!/usr/bin/perl

# Early data of a session is accepted once, wherever it is offered: RFC 8446,
# section 8.  A client, or who has recorded what it sent, offers one session with
# early data to four workers of two machines at the same instant.  All
# handshakes resume it, and one of them has its early data.

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
my $count = 500;

# the tier of each machine on and off, sessions in clear and sealed

my @servers = map { my $tier = $_; map { [ "$tier, $_->[0]", $tier, $_->[1] ] }
	[ 'in clear', '' ], [ 'sealed', 'key=' . $t->testdir() . '/cache.key' ] }
	'shared:', 'none';

$t->write_file('cache.key', join '', map { chr rand 256 } 1 .. 32);
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
	my ($name) = @{ $servers[$number] };
	my ($one, $other) = (8440 + $number, 8450 + $number);
	my $r = early_data($one, [ $one, $one, $other, $other ], $count);

	is($r->{failed}, 0, "$name, none failed") or diag($r->{error});
	is($r->{resumed}, 4 * $count, "$name, all were resumed");
	cmp_ok($r->{accepted}[1], '>=', 0.95 * $count, "$name, accepted once");
	is("@{$r->{accepted}}[2 .. 4]", '0 0 0', "$name, never more often");
	is($r->{answers}{CLAIMED}, $r->{accepted}[1], "$name, claimed");
	is(($r->{answers}{REPLAYED} // 0) + ($r->{answers}{UNCLAIMED} // 0),
		4 * $count - $r->{accepted}[1], "$name, others refused");
	diag("$name: @{$r->{accepted}} ", explain $r->{answers}) if $ENV{TEST_NGINX_VERBOSE};
}

###############################################################################

sub config {
	my ($port) = @_;

	my $servers = join '', map {
		my (undef, $tier, $key) = @$_;
		my $cache = $tier eq 'none' ? 'none' : "shared:tier$port:5m";
		my $listen = $port++;
		<<"EOC" } @servers;
    server {
        listen       127.0.0.1:$listen ssl;
        server_name  localhost;

        ssl_session_cache $cache;
        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% timeout=5s $key;

        location / {
            return 200 \$remote_ssl_session_cache_early_data;
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
