#!/usr/bin/perl

# A slow store holds up the one handshake that waits for it, and nobody else on
# the same worker; one that hangs is soon not asked any more.  Otherwise a
# store in trouble takes the whole web server with it.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

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

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% timeout=10s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%%
                                 interval=50ms timeout=1s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
my $hanging = SSLSessionCache::Link->new($t);
certificate($t, 'localhost');

$t->plan(14)->run();

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	ok(wait_until(sub { offer(8444, $r)->{reused} }), "$version, connected");

	my $keepalive = tls_hello(8444)->handshake();

	$store->freeze();
	my $waiting = tls_hello(8444, version => $version,
		session => $r->{session});

	my @times = map { timed(sub { tls_get(8444) }) } 1 .. 5;
	push @times, timed(sub { $keepalive->get('/') });
	my ($slowest) = sort { $b <=> $a } @times;

	ok(!$waiting->answered(), "$version, waits while neighbours are served");
	cmp_ok($slowest, '<', 5, "$version, neighbours are not held up");

	$store->thaw();

	is($waiting->get('/')->{reused}, 1, "$version, resumed after waiting");
}

# the first few pay for a store that hangs

my $r = tls_get(8443, version => 'TLSv1.2');
$store->wait_id(session_id($r->{session}));

ok(wait_until(sub { offer(8445, $r)->{reused} }), 'before it hangs');

$hanging->signal('STOP');

my (@slow, @failed);

foreach (1 .. 30) {
	my $got;
	my $time = timed(sub { $got = offer(8445, $r) });

	push @slow, $time if $time > 0.9;
	push @failed, $got->{error} if defined $got->{error};
}

is(join('', @failed), '', 'no handshake fails while it hangs');
cmp_ok(scalar @slow, '>', 0, 'the first waits');
cmp_ok(scalar @slow, '<=', 5, 'the others do not');
cmp_ok((sort { $b <=> $a } @slow)[0], '<', 5, 'nobody waits longer than told');

$hanging->signal('CONT');
ok(wait_until(sub { offer(8445, $r)->{reused} }), 'after it hung');

###############################################################################

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version}, session => $r->{session});
}

sub timed {
	my ($action) = @_;

	my $start = time();
	$action->();

	return time() - $start;
}

###############################################################################
