#!/usr/bin/perl

# The status page tells the name of the machine, and in which ways handshakes wait
# for a store: each once, and none where no server uses the cache.  Otherwise who
# looks at many machines does not know which one he sees, nor that one of them
# has lost the better way.

###############################################################################

use warnings;
use strict;

use FindBin;
use POSIX qw/ uname /;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

certificate($t, 'localhost');
configure($t, map { cached($_) } 'hello', 'hello', $Test::Nginx::SUSPEND // 'auto');
$t->plan(5)->run();

###############################################################################

my $s = status();
my %ways = map { $_ => 1 } $t->read_file('error.log') =~ /\(suspend=(\w+)\)/g;

is($s->{host}, lc((uname())[1]), 'name of the machine');
is_deeply($s->{suspend}, [ sort keys %ways ], 'the ways in use');

my $ways = join ',', sort keys %ways;
like(http_get('/status?format=prometheus'),
	qr/^nginx_remote_ssl_session_cache_info\{.*,suspend="$ways"\} 1$/m,
	'for Prometheus');

configure($t);
$t->reload();
$s = wait_status(sub { !@{$_[0]{stores}} });

is_deeply($s->{suspend}, [], 'none without the cache');
is($s->{host}, lc((uname())[1]), 'the same machine');

###############################################################################

sub configure {
	my ($t, @servers) = @_;

	my $port = 8443;
	my $servers = join '', map { s/PORT/$port++/er } @servers;

	$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
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

EOC
}

sub cached {
	my ($way) = @_;

	return <<"EOC";

    server {
        listen       127.0.0.1:PORT ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=$way;
    }
EOC
}

###############################################################################
