#!/usr/bin/perl

# A user of Redis with the smallest set of rights that the module needs can do
# all of it; a right that is missing is named in the log.  Otherwise operators
# give the module all rights, or look for the missing one in the dark.

# Measures time of stores: in ci/test it runs alone, and with one way to suspend.

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

        remote_ssl_session_cache port=%%PORT_8379%% user=nginx auth=secret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% user=select auth=secret db=1;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% user=reader auth=secret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% user=other auth=secret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8447 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% user=silent auth=secret;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

# the smallest ACL is that of docs/stores.md

my $stores = do { local (@ARGV, $/) = "$FindBin::Bin/../docs/stores.md"; <> };
my @nginx = split ' ', $stores =~ /^user nginx (.*)/m ? $1 : die "no ACL\n";

my $redis = SSLSessionCache::Redis->new($t);

user(nginx => @nginx);
user(select => @nginx, '+select');
user(reader => @nginx, '-setex');
user(other => @nginx, 'resetkeys', '~other:*');
user(silent => @nginx, '-ping');

certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(15)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/846$1/gr);

###############################################################################

foreach my $case ([ 8443, 'nginx', 0 ], [ 8444, 'select', 1 ]) {
	my ($port, $name, $db) = @$case;

	$redis->command('SELECT', $db);
	my $r = full($port);
	ok($redis->wait_id(session_id($r->{session})), "$name, stored");
	is(offer($port + 20, $r), 1, "$name, resumed");

	$redis->command('SET', $redis->key(session_id($r->{session})), 'x');
	$redis->forget_calls();
	is(offer($port + 20, $r), 0, "$name, not a session");
	is($redis->wait_calls('delete', 1), 1, "$name, deleted");
}

is(grep({ / user=nginx / } split /\n/, $redis->command('CLIENT', 'LIST')), 2,
	'user of the connections');

# with a right too few

foreach my $case ([ 8445, 'setex' ], [ 8446, 'keys' ], [ 8447, 'ping' ]) {
	my ($port, $right) = @$case;

	my @got = map { offer($port + 20, full($port)) } 1 .. 5;
	is(join(' ', @got), '0 0 0 0 0', "no right to $right, full handshakes");
}

my @lines = grep { /\[(?:warn|error|crit)\].*sslsessioncache: .*NOPERM/ }
	split /\n/, $t->read_file('error.log');

is(grep({ /refuses commands.*'setex'/ } @lines), 1, 'told of the command');
is(grep({ /refuses commands.*key/ } @lines), 1, 'told of the keys');
is(grep({ /is down.*'ping'/ } @lines), 1, 'told of the probe');

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

sub user {
	my ($name, @rules) = @_;

	$redis->command('ACL', 'SETUSER', $name, @rules);
}

###############################################################################
