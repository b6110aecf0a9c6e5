#!/usr/bin/perl

# A setting that counts for nothing on a socket of HTTP/3, or for less than it
# says, is warned of, as on one of TCP: once where a server has both.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl http_v3 socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        LISTEN
        server_name  localhost;

        remote_ssl_session_cache on;
        client_header_timeout 1s;
    }

    server {
        LISTEN
        server_name  other;

        remote_ssl_session_cache off;
    }
}

EOF

my ($tcp, $quic) = map { "listen 127.0.0.1:%%PORT_8980_UDP%% $_;" } qw/ ssl quic /;

certificate($t, 'localhost');

$t->plan(10);

###############################################################################

foreach ([ 'QUIC', $quic ], [ 'TCP and QUIC', "$tcp $quic" ]) {
	my ($name, $listen) = @$_;

	my ($output, $code) = check_config($t, $config =~ s/LISTEN/$listen/gr);
	my @ignored = $output =~ /\[warn\].*server "other" .* has no effect on/g;
	my @short = $output =~ /\[warn\].*is cut to half of "client_header_timeout"/g;

	is($code, 0, "$name, valid");
	is(@ignored, 1, "$name, a server that is not looked at");
	is(@short, 1, "$name, too short a timer");
}

# A server that only one of the two sockets has.

my $third = "    server {\n        $quic\n        server_name  third;\n    }\n";
my ($output) = check_config($t,
	$config =~ s/LISTEN/$tcp $quic/gr =~ s/(?=^\}\n+\z)/$third/mr);

foreach my $server ('other', 'third') {
	my @ignored = $output =~ /\[warn\].*server "$server" .* has no effect on/g;

	is(@ignored, 1, "different servers of TCP and QUIC, $server");
}

($output) = check_config($t, $config =~ s/LISTEN/$quic/r =~ s/LISTEN/$tcp/r);

unlike($output, qr/has no effect/, 'each is looked at');
like($output, qr/is cut to half of/, 'too short a timer on one of them');

###############################################################################
