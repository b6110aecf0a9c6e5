#!/usr/bin/perl

# A node of a Redis Cluster answers a PING, and refuses the keys that are not
# its own: the log says what it is and what to use instead.  Otherwise all that
# operators are told is "MOVED" and a number.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
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

        remote_ssl_session_cache on port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache on port=%%PORT_8380%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = SSLSessionCache::Misbehaving->new($t);
my $node = SSLSessionCache::Redis->new($t, port => 8380,
	args => [ '--cluster-enabled', 'yes' ]);
certificate($t, 'localhost');

$t->plan(6)->run();

###############################################################################

my ($session) = $store->made('TLSv1.2', 1);

foreach my $error ('MOVED 3999 192.0.2.1:6379', 'ASK 3999 192.0.2.1:6379') {
	$store->fault('get', 'instead', "-$error\r\n");

	is(offer(8443), 0, "$error, full handshake");
	ok(told($t, $error), "$error, told in the log");
}

is(offer(8443), 1, 'resumed then');

# a node without slots

ok(wait_until(sub { offer(8444);
	told($t, 'CLUSTERDOWN Hash slot not served') }),
	'CLUSTERDOWN, told in the log');

###############################################################################

sub told {
	my ($t, $error) = @_;

	return wait_until(sub { $t->read_file('error.log') =~ /refuses\ commands,
		.*:\ \Q$error\E;\ it\ is\ a\ node\ of\ a\ Redis\ Cluster:\ /x });
}

sub offer {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2',
		session => $session)->{reused};
}

###############################################################################
