#!/usr/bin/perl

# A client may leave while its lookup waits for the store.  It must cost
# nothing: no crash when the reply comes, and no memory that stays behind.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
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

        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%% timeout=10s;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);
certificate($t, 'localhost');

$t->plan(7)->run();

###############################################################################

my @versions = ('TLSv1.2', 'TLSv1.3');
my $worker = worker($t);
my %sessions = map { $_ => made($_) } @versions;

ok(wait_until(sub { offer('TLSv1.3')->{reused} }), 'link is up')
	or die "nothing is resumed\n";
my $connections = connections($worker);

my ($answered, $calls);

leave(20);
my $growth = growth($worker, sub {
	$store->forget_calls();
	$answered = leave(40);
	$calls = $store->calls('get');
});

is($answered, 0, 'all left while their lookups waited');
is($calls, 4000, 'all lookups were answered');

# the last replies come to nobody
is(offer($_)->{reused}, 1, "$_, resumed after them") foreach @versions;

is(join(' ', workers(master($t))), $worker, 'same worker');
is($growth, 0, 'no growth of memory');

###############################################################################

# Rounds of a hundred, who leave while the store is held still; how many were
# answered before they left.

sub leave {
	my ($rounds) = @_;

	my $answered = 0;
	my $calls = $store->calls('get');

	foreach (1 .. $rounds) {
		my $lookups = $link->lookups() + 100;

		$store->freeze();
		my @waiting = map { tls_hello(8444, version => $_,
			session => $sessions{$_}) } (@versions) x 50;

		$link->wait_lookups($lookups);
		$answered += grep { $_->answered() } @waiting;
		@waiting = ();
		$store->thaw();
		$store->wait_calls('get', $calls += 100);

		# memory shows what stays when all are gone
		wait_until(sub { connections($worker) <= $connections });

		last if $answered or $link->lookups() < $lookups;
	}

	return $answered;
}

sub offer {
	my ($version) = @_;

	return tls_get(8444, version => $version, session => $sessions{$version});
}

sub made {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
