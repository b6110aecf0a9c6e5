#!/usr/bin/perl

# A server takes the directive from http{}, switches it off, or has one of its
# own; and is told where its own has no effect, because another server is the
# default one of the socket.  Without it sessions would land where nobody asked
# for them.

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

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache off;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8380%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $check = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  first;
        FIRST
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  second;
        SECOND
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $another = SSLSessionCache::Redis->new($t, port => 8380);
certificate($t, 'localhost');

$t->plan(19)->run();

###############################################################################

# records in the store of http{}, in the other one, and a resumption: that of
# the server without the cache is by a stateless ticket

is(made(8443), '1 0 1', 'inherited');
is(made(8444), '0 0 1', 'switched off');
is(made(8445), '0 1 1', 'its own');

my $on = 'remote_ssl_session_cache on;';
my $off = 'remote_ssl_session_cache off;';
my $port = 'remote_ssl_session_cache port=6380;';

warns($t, '', '', 0, 'nowhere');
warns($t, $on, $on, 0, 'the same');
warns($t, $on, 'remote_ssl_session_cache port=6379;', 0, 'the same in other words');
warns($t, '', $off, 0, 'off and absent');
warns($t, $on, $off, 1, 'off in another server');
warns($t, $on, '', 1, 'absent in another server');
warns($t, $off, $on, 1, 'on in another server only');
warns($t, $on, $port, 1, 'another store');

###############################################################################

sub made {
	my ($port) = @_;

	$_->clear() foreach $redis, $another;

	my $r = tls_get($port, version => 'TLSv1.2');
	my $reused = tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};

	return join ' ', scalar $redis->keys(), scalar $another->keys(), $reused;
}

sub warns {
	my ($t, $first, $second, $expected, $name) = @_;

	my ($output, $code) = check_config($t,
		$check =~ s/FIRST/$first/r =~ s/SECOND/$second/r);
	my @warnings = $output =~ /\[warn\].*has no effect.*/g;

	is($code, 0, "$name, valid");
	is(@warnings, $expected, "$name, warnings");
}

###############################################################################
