#!/usr/bin/perl

# Two proxies stand at the addresses of one name, in front of the same shards, of
# which one is a replica's: some sessions are not stored, whichever is used.
# Otherwise workers would go from one to the other with each of those, and end
# what waits each time.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::NameServer;
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

    resolver 127.0.0.1:%%PORT_8953_UDP%% ipv6=off;

    remote_ssl_session_cache on addr=localhost port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my @proxies = map { SSLSessionCache::Misbehaving->new($t, bind => $_) }
	'127.0.0.1', '127.0.0.2';
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1', '127.0.0.2' ]);
certificate($t, 'localhost');

$t->plan(3)->run();

###############################################################################

ok(wait_until(sub { $names->questions() > 0 && resumed() }), 'resumed');

my $connections = connections();
my $resumed = 0;

foreach (1 .. 30) {
	$_->fault('put', 'instead', "-READONLY You can't write.\r\n") foreach @proxies;
	tls_get(8443, version => 'TLSv1.2');
	$resumed += resumed();
}

cmp_ok($resumed, '>', 20, 'resumed still');
cmp_ok(connections() - $connections, '<', 5, 'few connections');

###############################################################################

sub connections {
	my ($one, $two) = map { $_->calls('accept') } @proxies;

	return $one + $two;
}

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
