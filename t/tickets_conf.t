#!/usr/bin/perl

# The ticket keys of the fleet need the cache and its key, and stand in the way
# of nginx's own: what does not go together is refused when the configuration is
# read, and the message says what would be right.  Otherwise tickets are sealed
# with keys that nobody meant.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

my $config = <<'EOC';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    IN_BLOCK

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
        IN_DEFAULT
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  named;
        IN_NAMED
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;
    }
}

EOC

certificate($t, 'localhost');
seal_key($t, 'cache.key');
$t->write_file('ticket.key', '0123456789abcdef' x 5);

my $cache = 'remote_ssl_session_cache on key=cache.key;';
my $on = 'remote_ssl_session_tickets on;';
my $directive = '"remote_ssl_session_tickets"';

$t->plan(25);

###############################################################################

accepted($t, "$cache $on", 'with the cache and its key');
accepted($t, "$cache remote_ssl_session_tickets off;", 'off');
accepted($t, 'remote_ssl_session_tickets off;', 'off without the cache');
accepted($t, "$cache $on", 'tickets asked for', server => 'ssl_session_tickets on;');
accepted($t, "$cache remote_ssl_session_tickets on rotate=12h;", 'rotate');
accepted($t, "$cache $on", 'off for a server', server => 'ssl_session_tickets off;
	remote_ssl_session_tickets off;', named => 'remote_ssl_session_tickets off;');
accepted($t, "$cache $on", 'the longest time', server => 'ssl_session_timeout 16d;');

accepted($t, $on, 'a server without TLS, and without the cache', server => $cache,
	named => $cache);

refused($t, $on, qr/cannot be on for server "localhost".*expected "remote_ssl_session_cache" with "key="/,
	'without the cache');
refused($t, "remote_ssl_session_cache on; $on", qr/expected "remote_ssl_session_cache" with "key="/,
	'without a key');
refused($t, "$cache $on", qr/expected "remote_ssl_session_cache" with "key="/,
	'with the cache off', server => 'remote_ssl_session_cache off;');
refused($t, "$cache $on", qr/"ssl_session_tickets off" there says that there are no tickets/,
	'nginx has tickets off', server => 'ssl_session_tickets off;');
refused($t, "$cache $on", qr/expected no "ssl_session_ticket_key" next to it/,
	'nginx has a key', server => 'ssl_session_ticket_key ticket.key;');
refused($t, "$cache $on", qr/expected "ssl_session_timeout" of at most 1382400 seconds/,
	'too many keys', server => 'ssl_session_timeout 17d;');
refused($t, "$cache remote_ssl_session_tickets on rotate=1h;",
	qr/expected "rotate" of at least 5400 seconds where "ssl_session_timeout" is 172800/,
	'too many keys by rotate', server => 'ssl_session_timeout 2d;');
refused($t, "$cache $on", qr/"ssl_conf_command" there says that there are no tickets/,
	'OpenSSL has tickets off', server => 'ssl_conf_command Options -SessionTicket;');
refused($t, "$cache $on", qr/needs room for \d+ seeds/, 'more keys than there is room for',
	server => 'ssl_session_timeout 16d;', named => join '', map { "
		} server { listen 127.0.0.1:8443 ssl; ssl_session_timeout 16d;
		remote_ssl_session_cache on key=cache.key prefix=$_:;" } 1 .. 30);
refused($t, "$cache $on", qr/directive is duplicate/, 'twice', server => "$on $on");
refused($t, "$cache remote_ssl_session_tickets yes;", qr/$directive directive: unknown parameter "yes"/,
	'another word');
refused($t, "$cache remote_ssl_session_tickets on rotate=1d;", qr/expected a time from 1h to 12h/,
	'a long time');
refused($t, "$cache remote_ssl_session_tickets;", qr/invalid number of arguments/, 'nothing');
refused($t, "$cache remote_ssl_session_tickets on rotate=2h off;", qr/invalid number of arguments/,
	'more than enough');

# What counts is the default server

my ($output) = check($t, "$cache $on", named => 'remote_ssl_session_tickets off;');
like($output, qr/\[warn\].*$directive of server "named".*has no effect.*"localhost"/,
	'another setting behind a default server');

($output) = check($t, "$cache $on", server => 'ssl_session_cache off;');
like($output, qr/\[warn\].*is ignored.*"ssl_session_cache off"/, 'sessions are not to be resumed');

# Nothing is said of tickets that clients get on purpose

($output) = check($t, "$cache $on");
unlike($output, qr/\[warn\]/, 'no warning');

###############################################################################

sub check {
	my ($t, $http, %part) = @_;

	return check_config($t, $config =~ s/IN_BLOCK/$http/r
		=~ s/IN_DEFAULT/$part{server} \/\/ ''/er
		=~ s/IN_NAMED/$part{named} \/\/ ''/er);
}

sub accepted {
	my ($t, $http, $name, @parts) = @_;

	my ($output, $code) = check($t, $http, @parts);

	is($code, 0, $name) or diag($output);
}

sub refused {
	my ($t, $http, $message, $name, @parts) = @_;

	my ($output) = check($t, $http, @parts);

	like($output, qr/\[emerg\].*$message/, $name);
}

###############################################################################
