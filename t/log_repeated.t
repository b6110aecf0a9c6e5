#!/usr/bin/perl

# A store that is lost again and again is told of once a second, with how often
# it was.  Otherwise a store in trouble fills the disk of the web server.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

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

        remote_ssl_session_cache port=%%PORT_8379%% interval=10ms;

        location / {
            return 200 "$connection";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(4)->run();

###############################################################################

my $kills = 40;
my $killed = 0;
my $start = time();

foreach (1 .. $kills) {
	wait_until(sub { $redis->clients() });
	$killed += $redis->command('CLIENT', 'KILL', 'TYPE', 'normal',
		'SKIPME', 'yes');
	select undef, undef, undef, 0.05;
}

my $seconds = time() - $start + 1;

# one more, when it is time for a line again

select undef, undef, undef, 1.1;
wait_until(sub { $redis->clients() });
my $told = told($t);
$redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
wait_until(sub { told($t) > $told });

my @lines = lines($t);

cmp_ok($killed, '>=', $kills, 'connections were lost');
cmp_ok(told($t), '>', $kills / 2, 'they are counted');
cmp_ok(@lines, '<=', $seconds + 2, 'lines');
like($lines[0], qr/is down: .*; handshakes are full ones/, 'the first');

###############################################################################

sub lines {
	my ($t) = @_;

	return $t->read_file('error.log') =~ /^.*: sslsessioncache: .* is down.*$/mg;
}

sub told {
	my ($t) = @_;

	my $told = 0;
	$told += /is down, (\d+) times since/ ? $1 : 1 foreach lines($t);

	return $told;
}

###############################################################################
