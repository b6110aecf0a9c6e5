#!/usr/bin/perl

# With "pcre_jit on", matching the name that a client asks for takes more stack
# than an OpenSSL job has, and would overwrite the worker's memory.  So
# handshakes are no jobs then, wherever the directive stands, and a warning says
# so where they would be.  Those that wait without a job are none the worse.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

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
    ssl_protocols       TLSv1.2 TLSv1.3;

    remote_ssl_session_cache port=%%PORT_8379%% suspend=auto;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  other;
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  ~^(local|host)+$;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

my ($output) = check_config($t, "pcre_jit on;\n$config");
plan(skip_all => 'no PCRE JIT')
	if $output =~ /not support JIT|without PCRE JIT|unknown directive/;

my $async = $config =~ s/=auto/=async/r;
my ($jobs, $retry) = map {
	(check_config($t, $config =~ s/=auto/=$_/r))[0] !~ /is not possible/
} qw/ async retry /;

$t->write_file_expand('nginx.conf', $config . 'pcre_jit on;')->plan(8)->run();

my $other = SSLSessionCache::Nginx->new($t, 'other', "pcre_jit on;\n"
	. (($jobs ? $async : $config) =~ s/8443/8444/gr));

###############################################################################

my @logs = ($t->read_file('error.log'), $other->error_log());

foreach ([ 'auto', $logs[0], $jobs && !$retry, $retry ? 'retry' : 'hello' ],
	[ 'async', $logs[1], $jobs, 'hello' ])
{
	my ($wanted, $log, $warned, $way) = @$_;

	is($log =~ /\[warn\].*"pcre_jit on"/, $warned, "$wanted, warning");
	like($log, qr/suspended with .*suspend=$way\)/, "$wanted, $way");
	unlike($log, qr/suspended with .*suspend=async\),/, "$wanted, no jobs");
}

like($logs[1], qr/as suspend=async is not possible: (?:with "pcre_jit on"|.*not patched)/,
	'and why');

my $r = tls_get(8443);
$redis->wait_id(session_id($r->{session}));

is(tls_get(8444, session => $r->{session})->{body}, 'r', 'resumed');

###############################################################################
