#!/usr/bin/perl

# A client that holds a stateless ticket never asks a session cache.  Without
# switching such tickets off, nginx's default, no TLSv1.3 client would be
# resumed on another machine, and nobody would be told.

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

        ssl_session_tickets off;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        ssl_session_tickets on;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        ssl_session_ticket_key ticket.key;

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

    remote_ssl_session_cache on port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
        TICKETS
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
$t->write_file('ticket.key', '0123456789abcdef' x 5);

$t->plan(18)->run();

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $stored = $version eq 'TLSv1.2' ? 1 : 2;

	is(made($version, 8443), "$stored 1", "$version, tickets by default");
	is(made($version, 8444), "$stored 1", "$version, tickets off");
	is(made($version, 8445), '0 1', "$version, tickets on");
	is(made($version, 8446), '0 1', "$version, ticket key");
}

warns($t, '', 0, 'tickets by default');
warns($t, 'ssl_session_tickets off;', 0, 'tickets off');
warns($t, 'ssl_session_tickets on;', 1, 'tickets on');
warns($t, 'ssl_session_ticket_key ticket.key;', 1, 'ticket key');
warns($t, 'ssl_session_tickets off; ssl_session_ticket_key ticket.key;', 0,
	'ticket key, tickets off');

###############################################################################

# How many records a full handshake stores, and whether its session is resumed.

sub made {
	my ($version, $port) = @_;

	$redis->clear();
	$redis->forget_calls();

	my $r = tls_get($port, version => $version);
	$redis->wait_id(session_id($r->{session})) if $port < 8445;
	my $stored = $redis->keys();

	$r = tls_get($port, version => $version, session => $r->{session});
	$redis->wait_id(session_id($r->{session})) if $port < 8445;

	return "$stored $r->{reused}";
}

sub warns {
	my ($t, $tickets, $expected, $name) = @_;

	my ($output, $code) = check_config($t, $check =~ s/TICKETS/$tickets/r);
	my @warnings = $output =~ /\[warn\].*ticket.*/g;

	is($code, 0, "$name, valid");
	is(@warnings, $expected, "$name, warnings");
}

###############################################################################
