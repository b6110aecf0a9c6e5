#!/usr/bin/perl

# A store of two servers that a reload leaves with one goes on with its counters,
# and no sample is there twice for Prometheus, also while workers of before still
# use both.  Otherwise Prometheus takes one of the two for the number, or refuses
# all of the page.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my @redis = map { SSLSessionCache::Redis->new($t, port => $_) } 8379, 8378;
certificate($t, 'localhost');
configure($t, 8379, 8378);
$t->plan(6)->run();

###############################################################################

wait_status(sub { $_[0]{stores}[0]{connections} == 2 });
tls_get(8443, version => 'TLSv1.2') foreach 1 .. 20;
my $s = wait_status(sub { $_[0]{stores}[0]{sessions_sent} == 20 });

is($s->{stores}[0]{sessions_sent}, 20, 'sessions on two servers');
is_deeply(twice(), [], 'no sample twice');

# a client keeps the worker of before

my $client = tls_hello(8443, version => 'TLSv1.2');
configure($t, 8379);
$t->reload();
wait_until(sub { $t->read_file('error.log') =~ /gracefully shutting down/ });
$s = wait_status(sub { @{$_[0]{stores}[0]{workers} // []} });

is_deeply(twice(), [], 'no sample twice after the reload');
is($s->{stores}[0]{sessions_sent}, 20, 'counters are kept');

my ($one) = 'store="fleet",type="redis",server="127.0.0.1:' . port(8379) . '"';
my $text = http_get('/status?format=prometheus');

like($text, qr/_sessions_sent_total\{$one\} 20$/m, 'by the server that is left');
is(() = $text =~ /_up\{/g, 1, 'one worker, once');

###############################################################################

sub twice {
	my %seen;

	return [ grep { $seen{$_}++ }
		http_get('/status?format=prometheus') =~ /^(nginx_.*) \S+$/mg ];
}

sub configure {
	my ($t, @ports) = @_;

	my $servers = join "\n", map { "    server 127.0.0.1:%%PORT_$_%%;" } @ports;

	$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store fleet {
    type redis;
$servers
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache store=fleet;

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

EOC
}

###############################################################################
