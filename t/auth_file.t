#!/usr/bin/perl

# The password is read from a file, with or without a line's end, relative to
# the folder of nginx.conf, and appears nowhere.  Otherwise it has to be in
# nginx.conf, which more people can read.

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
use SSLSessionCache::Wait;

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% auth_file=plain;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% auth_file=%%TESTDIR%%/newline;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% auth_file=crlf;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, password => 'pass word');
certificate($t, 'localhost');

private_file($t, 'plain', 'pass word');
private_file($t, 'newline', "pass word\n");
private_file($t, 'crlf', "pass word\r\n");

$t->write_file_expand('nginx.conf', $config)->plan(10)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $port (8443 .. 8445) {
	my $r = full($port);
	$redis->wait_id(session_id($r->{session}));
	is(offer($port + 20, $r), 1, "resumed, $port");
}

is($redis->clients(), 2, 'one password, one connection of each worker');
unlike($t->read_file('error.log'), qr/pass word/, 'password is not logged');

# who can read the file

my ($output, $code) = check_config($t, $config);
unlike($output, qr/auth_file/, 'private file');

chmod 0644, $t->testdir() . '/crlf';
($output, $code) = check_config($t, $config);
like($output, qr/\[warn\].*crlf" of parameter "auth_file" can be read by any/,
	'public file, warning');
is($code, 0, 'public file, accepted');

# it is read with the configuration

private_file($t, $_, "changed\n") foreach qw/ plain newline crlf /;

$redis->command('CONFIG', 'SET', 'requirepass', 'changed');
$redis->{password} = 'changed';
$redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

my $r = full(8443);
ok(!$redis->wait_id(session_id($r->{session})), 'another password is wanted');

reload($t, 1);
wait_until(sub { 2 == (() = $t->read_file('error.log') =~ / is up$/mg) });

$r = full(8443);
ok($redis->wait_id(session_id($r->{session})), 'another password after a reload');

###############################################################################

sub full {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2');
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused} // 'failed';
}

###############################################################################

###############################################################################
