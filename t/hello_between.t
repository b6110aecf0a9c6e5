#!/usr/bin/perl

# Something else comes in the midst of a ClientHello: data, an alert, rubbish.
# The client gets the answer that it gets without the module, at once.
# Otherwise it waits until nginx's own timer closes the connection.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', <<'EOC');

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

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 "";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        ssl_session_tickets off;

        location / {
            return 200 "";
        }
    }
}

EOC

certificate($t, 'localhost');

my %others = (
	'empty data' => "\x17\x03\x03\x00\x00",
	'data' => "\x17\x03\x03\x00\x01x",
	'an alert' => "\x15\x03\x03\x00\x02\x02\x28",
	'a record too long' => "\x16\x03\x03\x48\x01",
	'HTTP' => "GET / HTTP/1.0\r\n\r\n",
);

$t->plan(keys(%others) * 3)->run();

###############################################################################

my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.3');

foreach my $name (sort keys %others) {
	foreach my $before (2, 4, 40) {
		my ($record) = $hello->in_records($before);
		my ($got, $expected) = map { answer($_, $record, $others{$name}) }
			8443, 8444;

		is($got, $expected, "$name behind $before bytes");
	}
}

###############################################################################

# What nginx says when one comes some time after the other.

sub answer {
	my ($port, $first, $second) = @_;

	my $socket = SSLSessionCache::Hello::connected($port);
	my $answer = '';

	local $SIG{ALRM} = sub { die "timeout\n" };
	alarm(10);

	syswrite $socket, $first;
	select undef, undef, undef, 0.05;
	syswrite $socket, $second;

	eval { 1 while sysread $socket, $answer, 65536, length $answer };
	alarm(0);

	return $@ || unpack 'H*', $answer;
}

###############################################################################
