#!/usr/bin/perl

# A store that wants a password gets it; with a wrong one or without any there
# are full handshakes and one line in the log.  Otherwise a changed password
# fails handshakes, or fills the disk with messages.

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% auth=secret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% auth=mistaken;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, password => 'secret');
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(6)->run();
my $other = SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/844(\d)/846$1/gr);

###############################################################################

my $r = full(8443);
$redis->wait_id(session_id($r->{session}));
is(offer(8463, $r), 1, 'right password');

refused(8444, 8464, 'wrong password');
refused(8445, 8465, 'missing password');

# one line of each worker and store

my @lines = grep { /sslsessioncache: / && !/\[(?:debug|info|notice|warn)\]/ }
	split /\n/, $t->read_file('error.log');

is(@lines, 2, 'lines in the log') or diag(join "\n", @lines);
is(grep({ /down|unavailable/ } @lines), 2, 'lines say that it is down');
unlike($t->read_file('error.log'), qr/mistaken/, 'password is not shown');

###############################################################################

sub refused {
	my ($port, $other, $name) = @_;

	my @made = map { full($port) } 1 .. 20;
	my @offered = map { offer($other, $_) } @made;

	is(join(' ', @offered), join(' ', (0) x 20), "$name, full handshakes");
}

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
