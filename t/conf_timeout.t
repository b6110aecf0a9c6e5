#!/usr/bin/perl

# nginx closes a connection whose handshake takes longer than
# client_header_timeout: a lookup may take half of it at most.  Where "timeout"
# is longer, it is not what it says, and a warning tells.

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

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
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
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        FIRST
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  other;

        SECOND
    }
}

EOF

certificate($t, 'localhost');

my $default = 'remote_ssl_session_cache on;';
my $long = 'remote_ssl_session_cache timeout=2001ms;';
my $off = 'remote_ssl_session_cache off;';

$t->plan(12);

###############################################################################

is(warns($t, "$long client_header_timeout 4s;", $long),
	'2001ms, 4000ms, localhost, 4002ms, 2000ms', 'longer than half');
is(warns($t, "$default client_header_timeout 1999ms;", $default),
	'1000ms, 1999ms, localhost, 2000ms, 999ms', 'the default');

is(warns($t, "$default client_header_timeout 2s;", $default), '', 'half');
is(warns($t, $default, $default), '', 'nginx as it is by default');
is(warns($t, "$off client_header_timeout 1s;", $off), '', 'off');
is(warns($t, $default, "$default client_header_timeout 1s;"), '',
	'not the default server');

###############################################################################

sub config {
	my ($first, $second) = @_;

	return $config =~ s/FIRST/$first/r =~ s/SECOND/$second/r;
}

# What the warnings say.

sub warns {
	my ($t, $first, $second) = @_;

	my ($output, $code) = check_config($t, config($first, $second));
	my @warnings = $output =~ /\[warn\](.*client_header_timeout.*)/g;

	is($code, 0, 'valid');

	return join '; ', map { join ', ', /(\d+ms|(?<=")localhost(?="))/g } @warnings;
}

###############################################################################
