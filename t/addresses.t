#!/usr/bin/perl

# Of a name with several addresses all machines use the same one: the first that
# is up.  Otherwise a connection that is lost once, or a store that was away for
# a moment, would leave machines with different stores, which share nothing.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::NameServer;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

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
        listen       127.0.0.1:8080;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

my $first = SSLSessionCache::Redis->new($t);
my $second = SSLSessionCache::Redis->new($t, bind => '127.0.0.2');
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => [ '127.0.0.2', '127.0.0.1' ]);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(14)->run();
my $other = SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/8443/8444/r =~ s/8080/8081/r);

###############################################################################

ok(wait_until(sub { resumed() }), 'resumed on the other');
is(address(), '127.0.0.1:' . port(8379), 'address is shown');
like(http_get('/status?format=prometheus'), qr/_address\{store="redis
	\ localhost:\d+",type="redis",server="localhost:\d+",worker="0",
	address="127\.0\.0\.1:\d+"\}\ 1$/mx,
	'address for Prometheus');

# a connection that is lost once

foreach my $round (1 .. 2) {
	select undef, undef, undef, 0.5;

	my ($id) = $first->clients();
	$first->command('CLIENT', 'KILL', 'ID', $id);

	is(wait_until(sub { my @ids = $first->clients();
		@ids == 2 && !grep { $_ == $id } @ids }), 1,
		"connected anew, round $round");
	is(scalar $second->clients(), 0, "not to another, round $round");
}

ok(resumed(), 'resumed then');

# a store that is away for a while

$first->crash();
ok(wait_until(sub { $second->clients() == 2 }), 'on to the second address');
ok(wait_until(sub { resumed() }), 'resumed there');

$first->start();
ok(wait_until(sub { $first->clients() == 2 && $second->clients() == 0 }, 20),
	'back to the first address');
ok(wait_until(sub { resumed() }), 'resumed again');
is(address(), '127.0.0.1:' . port(8379), 'address is shown again');

like($t->read_file('error.log'), qr/127\.0\.0\.1:\d+\)\ is\ down: .*
	127\.0\.0\.2:\d+\)\ is\ up$ .* 127\.0\.0\.2:\d+\)\ is\ not\ in\ use\ any\ more
	.* 127\.0\.0\.1:\d+\)\ is\ up$/msx, 'told of all');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8444, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

sub address {
	return status()->{stores}[0]{workers}[0]{address};
}

###############################################################################
