#!/usr/bin/perl

# A ClientHello has room for 1,700 tickets, and OpenSSL asks for each of them.
# A client that offers so many gets its handshake, and the store no more than
# four questions of it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

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
    ssl_protocols       TLSv1.2 TLSv1.3;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(11)->run();

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.3');
ok($redis->wait_id(session_id($r->{session})), 'store is up');

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.3')->hello();

foreach my $case ([ 1, 1, 1 ], [ 4, 4, 4 ], [ 5, 4, 4 ], [ 300, 4, 4 ],
	[ 1700, 0, 4 ])
{
	my ($count, $least, $most) = @$case;

	$redis->forget_calls();
	ok(is_answered(offering($count)), "$count tickets, answered");

	my $calls = $redis->calls('get');
	ok($least <= $calls && $calls <= $most, "$count tickets, lookups")
		or diag("$calls lookups");
}

###############################################################################

# Whether a stream is answered by a ServerHello.

sub is_answered {
	my ($stream) = @_;

	my $socket = SSLSessionCache::Hello::connected(8443);
	local $SIG{ALRM} = sub { die "timeout\n" };

	alarm(10);
	syswrite $socket, $stream;
	sysread $socket, my $answer, 6;
	alarm(0);

	return $answer =~ /^\x16\x03\x03..\x02/s;
}

# The hello with so many tickets that nobody has given: an extension more, the
# last one.  Proof of having one is looked at only when it is found.

sub offering {
	my ($count) = @_;

	my $body = substr $hello, 9;
	my $start = 35 + unpack 'x34C', $body;
	$start += 2 + unpack "x$start n", $body;
	$start += 1 + unpack "x$start C", $body;

	my $identities = join '', map { pack 'n/aN', pack('Nx28', $_), 0 }
		1 .. $count;
	my $extensions = substr($body, $start + 2)
		. pack 'nn/a', 41, pack 'n/an/a', $identities,
		pack 'C/a', "\0" x 32;

	$body = substr($body, 0, $start) . pack 'n/a', $extensions;

	my $message = pack('N', 1 << 24 | length $body) . $body;

	return join '', map { pack 'Cnn/a', 22, 0x301, $_ }
		unpack '(a16384)*', $message;
}

###############################################################################
