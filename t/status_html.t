#!/usr/bin/perl

# A browser gets a page for a person, which needs nothing but this server, and
# other clients get what they ask for.  An operator in trouble has a phone at
# hand, and perhaps no other network.

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

$t->plan(18)->run();

###############################################################################

my $html = http_get('/status?format=html');

like($html, qr/^Content-Type: text\/html; charset=utf-8\r$/mi, 'type');
like($html, qr/<meta name="viewport" content="width=device-width/, 'phones');
like($html, qr/prefers-color-scheme: dark/, 'darkness');
unlike($html =~ s!/\*.*?\*/!!sgr, qr!https?:|//\w|\bsrc=|\bhref="(?\!data:,")|\@import|url\(!,
	'self-contained');
like($html, qr!</html>\s*$!, 'complete');
cmp_ok(length $html, '<', 100_000, 'small');
like($html, qr/<!--[^>]*MIT License[^>]*Leon Sorokin[^>]*-->/, 'the license of a part');

like(accept_get('text/html,application/xhtml+xml,*/*;q=0.8'), qr/<!doctype html/,
	'what a browser accepts');
foreach ('*/*', 'application/json, text/plain, */*',
	'text/html;q=0.2, Application/JSON;q=0.7, text/plain;q=0.3',
	"text/html;q=0\r\nAccept: application/json;q=0.1")
{
	like(accept_get($_), qr!^Content-Type: application/json\r$!mi,
		'JSON for ' . s/\r\n.*//r);
}

like(accept_get('application/openmetrics-text;version=1.0.0;q=0.6,'
	. 'text/plain;version=0.0.4;q=0.5, text/html;q=0.4, */*;q=0.2'),
	qr/^# TYPE/m, 'what Prometheus accepts');
like(http("HEAD /status HTTP/1.0\r\n\r\n"),
	qr!^HTTP/1.1 200 .*^Content-Length: [1-9].*\r\n\r\n\z!ms, 'HEAD');
like(http("POST /status HTTP/1.0\r\n\r\n"), qr/^HTTP\S+ 405 /, 'POST');
like(accept_get('text/html'), qr/^Cache-Control: no-store\r$/mi, 'not cached');
unlike(http_get('/status?format=json'), qr/<html/, 'by argument');
is(@{status()->{stores}}, 0, 'no stores');

###############################################################################

sub accept_get {
	my ($types) = @_;

	return http("GET /status HTTP/1.0\r\nAccept: $types\r\n\r\n");
}

###############################################################################
