#!/usr/bin/perl

# At most so many commands wait for the store; a lookup beyond them is a miss,
# never an error, and does not wait.  Without a bound a slow store would pile
# up memory, with an error in its place handshakes would fail.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', store_config(<<'EOF'));

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

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%%
                                 count=1 interval=1m timeout=10s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%%
                                 count=4 interval=1m timeout=10s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%%
                                 count=unlimited interval=1m timeout=10s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);
certificate($t, 'localhost');

$t->plan(15)->run();

###############################################################################

my $lookups = 20;
my $r = tls_get(8443, version => 'TLSv1.2');
$store->wait_id(session_id($r->{session}));

bounded(8444, 1, 'one');
bounded(8445, 4, 'four');
bounded(8446, $lookups, 'unlimited');

###############################################################################

sub bounded {
	my ($port, $count, $name) = @_;

	ok(wait_until(sub { offer($port)->{reused} }), "$name, link is up")
		or die "nothing is resumed\n";

	my $before = $link->lookups();

	$store->freeze();
	my @clients = map { tls_hello($port, version => 'TLSv1.2',
		session => $r->{session}) } 1 .. $lookups;

	wait_until(sub { answered(@clients) == $lookups - $count });
	is(answered(@clients), $lookups - $count, "$name, others do not wait");

	$link->wait_lookups($before + $count);
	$store->thaw();

	my @got = map { my $c = $_; eval { $c->get('/') } // {} } @clients;

	is(grep({ defined $_->{body} } @got), $lookups, "$name, none fails");
	is(grep({ $_->{reused} } @got), $count, "$name, resumed");
	is($link->lookups() - $before, $count, "$name, lookups");
}

sub answered {
	my $count = grep { $_->answered() } @_;

	return $count;
}

sub offer {
	my ($port) = @_;

	return tls_get($port, version => 'TLSv1.2', session => $r->{session});
}

###############################################################################
