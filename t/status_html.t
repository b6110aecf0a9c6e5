#!/usr/bin/perl

# A browser gets a page for a person, which needs nothing but this server.
# An operator in trouble has a phone at hand, and perhaps no other network.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Status;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

$t->plan(9)->run();

###############################################################################

my $html = http_get('/status?format=html');

like($html, qr/^Content-Type: text\/html; charset=utf-8\r$/mi, 'type');
like($html, qr/<meta name="viewport" content="width=device-width/, 'phones');
like($html, qr/prefers-color-scheme: dark/, 'darkness');
unlike($html, qr!https?:|//\w|\bsrc=|\bhref=|\@import|url\(!, 'self-contained');
like($html, qr!</html>\s*$!, 'complete');

like(accept_get('text/html,application/xhtml+xml,*/*;q=0.8'), qr/<!doctype html/,
	'what a browser accepts');
like(accept_get('*/*'), qr!^Content-Type: application/json!mi,
	'what others accept');
unlike(http_get('/status?format=json'), qr/<html/, 'by argument');
is(@{status()->{stores}}, 0, 'no stores');

###############################################################################

sub accept_get {
	my ($types) = @_;

	return http("GET /status HTTP/1.0\r\nAccept: $types\r\n\r\n");
}

###############################################################################
