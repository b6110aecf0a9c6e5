#!/usr/bin/perl

# nginx closes a connection that is still in its handshake by
# client_header_timeout.  Where that is shorter than the timeout of a store that
# is late, the handshake goes on before, as a full one.  Otherwise a late store
# means failed handshakes.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use Time::HiRes qw/ time /;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', store_config(<<'EOC'));

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    # a handshake begins with its timer, or with what has come already
    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:8444 ssl deferred;
        server_name  localhost;

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% timeout=1h
                                 interval=1h;
        client_header_timeout 2s;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOC

my $store = store($t);
certificate($t, 'localhost');

$t->plan(11)->run();

###############################################################################

my $worker = worker($t);
my $count = 20;
my @versions = ('TLSv1.2', 'TLSv1.3');
my %sessions = map { $_ => tls_get(8443, version => $_)->{session} } @versions;

$store->wait_id(session_id($_)) foreach values %sessions;
is(offer($_)->get('/')->{body}, 'HIT', "$_, store is up") foreach @versions;
is(offer($_, 8444)->get('/')->{body}, 'HIT', "$_, deferred, store is up")
	foreach @versions;

my $connections = connections($worker);

$store->freeze();

my $begin = time();
my @waiting = map { offer($_), offer($_, 8444) } (@versions) x $count;
my @got = map { eval { $_->get('/') } // { error => $@ } } @waiting;
my $took = time() - $begin;

is(grep({ defined $_->{error} } @got), 0, 'none failed');
is(grep({ $_->{reused} } @got), 0, 'all were full ones');
is(grep({ $_->{body} =~ /^(?:TIMEOUT|DOWN)$/ } @got), 4 * $count, 'and say why');
cmp_ok($took, '<', 10, 'well before the timeout of the store');

# replies that come later are for nobody

$store->thaw();

is(offer($_)->get('/')->{error}, undef, "$_, served after them") foreach @versions;
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

sub offer {
	my ($version, $port) = @_;

	return tls_hello($port // 8443, version => $version,
		session => $sessions{$version});
}

###############################################################################
