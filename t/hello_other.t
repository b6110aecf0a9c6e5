#!/usr/bin/perl

# What is no ClientHello, or none that OpenSSL likes, gets the answer that it
# gets without the cache: plain HTTP, an SSLv2 hello, rubbish, alerts.  So do
# clients behind the PROXY protocol, and those of a server that rejects
# handshakes.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Select;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()
	->has(qw/http http_realip http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;
    set_real_ip_from    127.0.0.1;
    real_ip_header      proxy_protocol;

    # the odd ports are without the cache

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:8445 ssl proxy_protocol;
        server_name  localhost;

        remote_ssl_session_cache off;
        ssl_session_cache none;
        ssl_session_tickets off;

        location / {
            return 200 "$ssl_session_reused $remote_addr";
        }
    }

    server {
        listen       127.0.0.1:8447 ssl;

        remote_ssl_session_cache off;
        ssl_session_cache none;
        ssl_session_tickets off;
        ssl_reject_handshake on;
    }

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8444 ssl;
        listen       127.0.0.1:8446 ssl proxy_protocol;
        server_name  localhost;

        ssl_conf_command Options KTLS;

        location / {
            return 200 "$ssl_session_reused $remote_addr";
        }
    }

    server {
        listen       127.0.0.1:8448 ssl;

        ssl_reject_handshake on;
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(31)->run();
SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/844([4-8])/'845' . $1/ger =~ s/8443/8453/r);

###############################################################################

my $worker = worker($t);
my %made = map { $_ => made($_) } 'TLSv1.2', 'TLSv1.3';
my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.2')->hello();

# the first bytes that come, and the end of the client's stream

my %streams = (
	'nothing' => '',
	'one byte' => "\x16",
	'half a header' => "\x16\x03\x01",
	'plain HTTP' => "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
	'rubbish' => "\xff" x 500,
	'rubbish after the first byte' => "\x16" . "\xff" x 500,
	'an SSLv2 hello' => "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"
		. "\x01\x00\x80" x 7 . "\x55" x 16,
	'an SSLv2 hello for TLSv1.2' => "\x80\x2b\x01\x03\x03\x00\x12\x00\x00"
		. "\x00\x10\x00\x00\x2f\x00\xc0\x2f\x00\xc0\x2b\x00\xc0\x13"
		. "\x00\x00\x9c\x00\x00\xff" . "\x55" x 16,
	'an alert' => "\x15\x03\x01\x00\x02\x02\x28",
	'an empty record' => "\x16\x03\x01\x00\x00",
	'a record too long' => "\x16\x03\x01\xff\xff" . "\x01" x 70_000,
	'a message too long' => "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
	'a ServerHello' => "\x16\x03\x03\x00\x04\x02\x00\x00\x00",
	'an empty ClientHello' => "\x16\x03\x01\x00\x04\x01\x00\x00\x00",
	'a ClientHello of TLSv1.0' => "\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03"
		. "\x01" . "\x55" x 32 . "\x00\x00\x02\x00\x2f\x01\x00",
	'a ClientHello without its end' => substr($hello, 0, -1),
	'a ClientHello with broken extensions' => pack('Cnn/a', 22, 0x301,
		pack('CCn/a', 1, 0, substr $hello, 9, -1)),
	'rubbish for a session id' => substr($hello, 0, 43) . "\xff" x 200,
);

foreach my $name (sort keys %streams) {
	is(answer(8444, $streams{$name}), answer(8443, $streams{$name}), $name);
}

like(http_of(8444), qr/^HTTP\S+ 400.*plain HTTP/s, 'plain HTTP, error 497');

# behind the PROXY protocol

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @proxy = ("PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n");

	is(offer($version, 8456, @proxy), 'r 192.0.2.1',
		"$version, PROXY protocol");
	is(offer($version, 8455, @proxy), '. 192.0.2.1',
		"$version, PROXY protocol without the cache");
	is(offer($version, 8454), 'r 127.0.0.1', "$version, kernel TLS");

	like(offer($version, 8458), qr/unrecognized name/,
		"$version, handshake rejected");
	is(offer($version, 8458), offer($version, 8457),
		"$version, handshake rejected as without the cache");
}

is(http_of(8446), http_of(8445), 'without a PROXY protocol header');
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# All that nginx answers: at once, and to the end of the client's stream.

sub answer {
	my ($port, $stream) = @_;

	my $socket = SSLSessionCache::Hello::connected($port);
	my $answer = '';

	local $SIG{PIPE} = 'IGNORE';
	syswrite $socket, $stream;

	while (IO::Select->new($socket)->can_read(0.1)) {
		last unless sysread $socket, $answer, 65536, length $answer;
	}

	$answer .= '|';
	shutdown $socket, 1;
	1 while sysread $socket, $answer, 65536, length $answer;

	# what differs each time: the date, and what a handshake has of its own
	return $answer =~ /^\x16/ ? 'handshake ' . length $answer
		: unpack 'H*', $answer =~ s/\r\nDate:.*?\r\n/\r\n/r;
}

sub http_of {
	my ($port) = @_;

	return pack 'H*', answer($port, "GET / HTTP/1.0\r\n\r\n");
}

sub offer {
	my ($version, $port, @before) = @_;

	my $client = SSLSessionCache::Hello->new(version => $version,
		session => $made{$version}{session});
	my $got = eval { $client->send($port, @before, $client->hello())->get('/') };

	return $got ? $got->{body} : $@;
}

sub made {
	my ($version) = @_;

	my $r = tls_get(8444, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

###############################################################################
