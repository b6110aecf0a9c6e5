#!/usr/bin/perl

# A client may send more while its lookup waits for the store: the
# ChangeCipherSpec that TLSv1.3 allows, or rubbish.  Neither may crash the
# worker or leave memory behind, and the former must not end the handshake.

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

my $worker = worker($t);
my %sessions = map { $_ => made($_) } 'TLSv1.2', 'TLSv1.3';

my $ccs = "\x14\x03\x03\x00\x01\x01";
my $rubbish = "\xff" x 100;

ok(wait_until(sub { offer('TLSv1.3')->{reused} }), 'link is up')
	or die "nothing is resumed\n";
my $connections = connections($worker);

send_more('TLSv1.3', $ccs, 3);
send_more($_, $rubbish, 1) foreach 'TLSv1.2', 'TLSv1.3';

my @counts;
my $growth = growth($worker, sub {
	@counts = (
		send_more('TLSv1.3', $ccs, 10),
		send_more('TLSv1.3', $rubbish, 5),
		send_more('TLSv1.2', $rubbish, 5),
	);
});

is($counts[0], '0 1000', 'ChangeCipherSpec, TLSv1.3');
is($counts[1], '0 0', 'rubbish, TLSv1.3');
is($counts[2], '0 0', 'rubbish, TLSv1.2');

is(offer('TLSv1.3')->{reused}, 1, 'resumed after them');

is(join(' ', workers(master($t))), $worker, 'same worker');
is($growth, 0, 'no growth of memory');

###############################################################################

# Rounds of a hundred, who send more while the store is held still; how many
# were answered before, and how many were resumed then.

sub send_more {
	my ($version, $data, $rounds) = @_;

	my ($answered, $reused) = (0, 0);

	foreach (1 .. $rounds) {
		my $lookups = $link->lookups() + 100;
		my $session = $sessions{$version};

		$store->freeze();
		my @waiting = map { tls_hello(8444, version => $version,
			session => $session) } 1 .. 100;

		$link->wait_lookups($lookups);
		$answered += grep { $_->answered() } @waiting;
		syswrite $_->socket(), $data foreach @waiting;
		$store->thaw();

		foreach my $client (@waiting) {
			my $r = eval { $client->get('/') } or next;
			$reused += $r->{reused} if defined $r->{body};
		}

		# memory shows what stays when all are gone
		@waiting = ();
		wait_until(sub { connections($worker) <= $connections });

		# what was rubbish has taken the session out of the cache
		$sessions{$version} = made($version) if $data ne $ccs;

		last if $answered or $link->lookups() < $lookups;
	}

	return "$answered $reused";
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
