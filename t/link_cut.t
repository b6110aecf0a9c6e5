#!/usr/bin/perl

# The link to the store breaks in the middle of replies while many lookups wait:
# those are full handshakes, none fails, and resumption is back with the link.

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

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8378%% interval=20ms;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);
certificate($t, 'localhost');

$t->plan(3)->run();

###############################################################################

my @made;
wait_until(sub { @made = map { full() } 1 .. 20; $store->count() >= 20 });

my (@got, @lasting);

foreach my $round (1 .. 20) {
	$link->fault('cut');
	my @clients = map { tls_hello(8443, version => 'TLSv1.2',
		session => $_->{session}) } @made;
	push @got, map { my $c = $_; eval { $c->get('/') } // {} } @clients;
	$link->fault('none');

	push @lasting, $round unless wait_until(sub { offer($made[0]) == 1 });
}

is(grep({ defined $_->{body} } @got), 400, 'none fails');
cmp_ok(grep({ !$_->{reused} } @got), '>', 0, 'lookups were cut');
is("@lasting", '', 'resumed after each');

###############################################################################

sub full {
	my $r = tls_get(8443, version => 'TLSv1.2');
	$store->wait_id(session_id($r->{session}));

	return $r;
}

# -1 of a handshake that failed.

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused} // -1;
}

###############################################################################
