#!/usr/bin/perl

# An nginx that ends TLS in stream{} and begins it anew to another one is a client
# there: it is resumed as others are, and what it offers there has nothing to do
# with what its own clients offer.  Otherwise TLS between the machines of a fleet
# pays for full handshakes, or takes the clients' sessions along.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = has_stream(Test::Nginx->new());

my $head = store_config(<<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%%;

    log_format  stream  '$server_port $ssl_session_reused '
                        '$remote_ssl_session_cache_status';
    access_log  %%TESTDIR%%/stream.log stream;

EOF

$t->write_file_expand('nginx.conf', $head . <<'EOF');
    proxy_ssl on;

    server {
        listen  127.0.0.1:8443 ssl;
        proxy_ssl_protocols TLSv1.2;
        proxy_pass  127.0.0.1:8453;
    }

    server {
        listen  127.0.0.1:8444 ssl;
        proxy_ssl_protocols TLSv1.3;
        proxy_pass  127.0.0.1:8454;
    }
}

EOF

my $behind = $head . <<'EOF';
    server {
        listen  127.0.0.1:8453 ssl;
        proxy_pass  127.0.0.1:8380;
    }

    server {
        listen  127.0.0.1:8454 ssl;
        proxy_pass  127.0.0.1:8380;
    }
}

EOF

my $store = store($t);
service($t);
certificate($t, 'localhost');

$t->plan(16)->run();
SSLSessionCache::Nginx->new($t, 'behind', $behind);

###############################################################################

my $count = 10;

Net::SSLeay::RAND_bytes(my $long, 200_000);

foreach my $port (8443, 8444) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my $name = "$version, $port";
		my $r = stream_get($port, version => $version, echo => $long);
		$store->wait_id(session_id($r->{session}));

		my @got = map { stream_get($port, version => $version, echo => $long,
			session => $r->{session}, at_once => 1) } 1 .. $count;

		is($r->{body}, $long, "$name, answered");
		is(grep({ $_->{reused} } @got), $count, "$name, resumed");
		is(grep({ $_->{body} eq $long } @got), $count, "$name, resumed, answered");
	}

	# of nginx all are resumed but the first: it is a client of one worker, which
	# stores a session on the same connection before it looks that up

	my @front = log_lines($t, $port, 2 + 2 * $count);
	my @behind = log_lines($t, $port + 10, 2 + 2 * $count);

	is(grep({ $_ eq 'r HIT' } @front), 2 * $count, "$port, clients, the log says");
	is(grep({ $_ eq 'r HIT' } @behind), 2 * $count + 1,
		"$port, nginx as a client, the log says");
}

###############################################################################
