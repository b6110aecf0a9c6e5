#!/usr/bin/perl

# Whether clients get tickets is a matter of the socket: a server that is meant by
# name, and says otherwise, has its clients resumed as those of the default server
# are.  Otherwise its clients get tickets, or names of sessions, that nobody looks
# at.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl sni/)
	->has_daemon('openssl');

my $config = store_config(<<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%% key=cache.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
        remote_ssl_session_tickets on;
        location / { return 200 "$ssl_session_reused $remote_ssl_session_cache_status"; }
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  named;
        location / { return 200 "$ssl_session_reused $remote_ssl_session_cache_status"; }
    }

    server {
        listen       127.0.0.1:8453 ssl;
        server_name  localhost;
        location / { return 200 "$ssl_session_reused $remote_ssl_session_cache_status"; }
    }

    server {
        listen       127.0.0.1:8453 ssl;
        server_name  named;
        remote_ssl_session_tickets on;
        location / { return 200 "$ssl_session_reused $remote_ssl_session_cache_status"; }
    }
}

EOC

my $store = store($t);

certificate($t, 'localhost');
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(8)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/:84(\d)3/:84${1}4/gr);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $name ('localhost', 'named') {
		my @client = (version => $version, sni => $name);

		is(resumed(8443, 8444, 'r TICKET', @client), 'r TICKET',
			"$version, $name, the default server gives tickets");
		is(resumed(8453, 8454, 'r HIT', @client), 'r HIT',
			"$version, $name, the default server gives none");
	}
}

###############################################################################

# What comes of a session that was made on one and is offered to the other, in the
# end: what is stored is so after the handshake, and what the keys are at first is
# not known to both.

sub resumed {
	my ($from, $to, $expected, @client) = @_;

	my $got;
	wait_until(sub {
		my $session = tls_get($from, @client)->{session};
		$got = tls_get($to, @client, session => $session)->{body};
		return $got eq $expected;
	}, 3);

	return $got;
}

###############################################################################
