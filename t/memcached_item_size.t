#!/usr/bin/perl

# A session that is larger than an item of Memcached may be is not stored, and
# that is all: its client, the connection to the store and the sessions of
# others are as ever.  The session of a client with a certificate is large.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Memcached;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on type=memcached port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        ssl_verify_client optional_no_ca;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = SSLSessionCache::Memcached->new($t,
	args => [ '-I', '1k', '-o', 'slab_chunk_max=512' ]);
certificate($t, 'localhost');
certificate($t, 'large', names => 50);

$t->plan(9)->run();

###############################################################################

my $large = $t->testdir() . '/large';
my @clients;
wait_until(sub { @clients = $store->clients() });

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version, cert => $large);

	is($r->{reused}, 0, "$version, made");
	is(offer($r), 0, "$version, too large to be stored");

	$r = tls_get(8443, version => $version);
	$store->wait_id(session_id($r->{session}));

	is(offer($r), 1, "$version, another is stored");
}

is(join(' ', $store->clients()), join(' ', @clients), 'same connection');

my @lines = grep { /\[error\].* sslsessioncache: / }
	split /\n/, $t->read_file('error.log');

cmp_ok(@lines, '>', 0, 'told in the log');
is(grep({ !/refuses commands, .*SERVER_ERROR object too large/ } @lines), 0,
	'no other error in the log');

###############################################################################

sub offer {
	my ($r) = @_;

	return tls_get(8443, version => $r->{version},
		session => $r->{session})->{reused};
}

###############################################################################
