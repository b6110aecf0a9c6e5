#!/usr/bin/perl

# A store at the first address of a name is greeted as ever, and closes the
# connection at each lookup: the next address is used.  Otherwise nothing would be
# resumed, while others are healthy.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::NameServer;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

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

my $first = SSLSessionCache::Misbehaving->new($t);
my $second = SSLSessionCache::Redis->new($t, bind => '127.0.0.2');
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.1', '127.0.0.2' ]);
certificate($t, 'localhost');

$first->fault('get', 'hangup');

$t->plan(4)->run();

###############################################################################

my $count = 0;

ok(wait_until(sub { $count++; $names->questions() > 0 && resumed() }, 20),
	'resumed by way of the second');

my $attempts = $first->calls('accept');

select undef, undef, undef, 5;
my $missed = grep { !resumed() } 1 .. 20;

cmp_ok($missed, '<', 3, 'resumed still');
cmp_ok($first->calls('get'), '<', $count + 5, 'few lookups at the first');
cmp_ok($first->calls('accept') - $attempts, '<', 4, 'fewer and fewer attempts');

###############################################################################

# At a rate at which the connection does well for some time before each lookup.

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');
	select undef, undef, undef, 0.3;

	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

###############################################################################
