#!/usr/bin/perl

# A store that accepts and never answers costs the handshakes that it finds
# waiting one timeout, and those that follow nothing until it answers again.
# Otherwise every client would wait for as long as the silence lasts.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

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

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%%
                                interval=100ms timeout=2s;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$remote_ssl_session_cache_status";
        }
    }
}

EOF

my $store = store($t);
certificate($t, 'localhost');

$t->plan(7)->run();

###############################################################################

my $r = full();
is(offer($r), 1, 'before');

$store->freeze();

my $start = time();
my @clients = map { tls_hello(8443, version => 'TLSv1.2',
	session => $r->{session}) } 1 .. 20;
my @got = map { my $c = $_; eval { $c->get('/') } // {} } @clients;
my $waited = time() - $start;

is(grep({ defined $_->{body} } @got), 20, 'none fails');
is(grep({ $_->{reused} } @got), 0, 'full handshakes');
cmp_ok(grep({ ($_->{body} // '') eq 'TIMEOUT' } @got), '>', 0,
	'the first ones wait');
cmp_ok($waited, '<', 8, 'all of them for one timeout');

# new connections are accepted by the kernel, and as silent

my @statuses;

while (time() - $start < 5 || @statuses < 20) {
	push @statuses, tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // 'failed';
}

is(grep({ $_ ne 'DOWN' } @statuses), 0, 'nobody waits then');

$store->thaw();
ok(wait_until(sub { offer($r) == 1 }), 'resumed when it answers');

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
