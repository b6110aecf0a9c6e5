#!/usr/bin/perl

# What is allowed and does nothing, or not what it seems to do, is warned of: once,
# however many servers it is said in, with the place where it stands.  Without that
# a fleet runs for years with a cache that one of its servers never had; with a line
# for each of a hundred servers, nobody reads any.

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

my $t = Test::Nginx->new()
	->has(qw/http http_ssl stream stream_ssl mail mail_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

BLOCK {
    COMMON
    ssl_certificate      localhost.crt;
    ssl_certificate_key  localhost.key;

LINES
}

EOF

certificate($t, 'localhost');
seal_key($t, "$_.key") foreach 'one', 'two';

my ($cache, $tickets) = ('remote_ssl_session_cache', 'remote_ssl_session_tickets');
my $on = "$cache key=one.key;";
my $listen = 'listen 127.0.0.1:8443 ssl;';

$t->plan(46);

###############################################################################

# one line for a socket, or for several that are alike

my $default = "server { $listen server_name first; $on }\n";
my $others = join '', map { "server { $listen server_name name$_; $cache off; }\n" }
	1 .. 25;

my $named = join ', ', map { "server \"name$_\" in \\S+:\\d+" } 1 .. 3;
like(warned($t, '25 servers', http => $default . $others),
	qr/"$cache" of $named and 22 more has no effect on \S+: .* server, "first" in \S+:\d+, is used there$/,
	'25 servers, told of');

my $two = 'listen 127.0.0.1:8443 ssl; listen 127.0.0.1:8444 ssl;';
like(warned($t, 'two sockets', http => "server { $two server_name first; $on }"
	. "server { $two server_name second; }"),
	qr/has no effect on 127.0.0.1:\d+, 127.0.0.1:\d+: /, 'two sockets, told of');

is(() = warned($t, 'two default servers', http => $default
	. "server { $listen listen 127.0.0.1:8444 ssl; server_name second; }"
	. "server { listen 127.0.0.1:8444 ssl; server_name third; $on }") =~ /^/mg, 2,
	'two default servers, a line for each');

SKIP: {
skip 'no names in stream', 2 unless $t->has_version('1.25.5');

my $range = 'listen 127.0.0.1:18443-18450 ssl;';
like(warned($t, 'port range', stream => "server { $range server_name first; $on return x; }"
	. "server { $range server_name second; return x; }"),
	qr/has no effect on (?:127.0.0.1:\d+, ){2}127.0.0.1:\d+ and 5 more: /,
	'port range, told of');
}

# no TLS

foreach my $case (
	[ http => '' ],
	[ stream => 'return x;' ],
	[ mail => 'auth_http 127.0.0.1:8080; protocol imap;', qr/, or "starttls on"/ ])
{
	my ($block, $rest, $advice) = (@$case, '');
	my $plain = "listen 127.0.0.1:8080; $rest";

	SKIP: {
	skip '"ssl on" may give it TLS', 2
		if $block eq 'http' && !$t->has_version('1.25.1');

	like(warned($t, "$block without TLS", $block => "server { $plain\n$on }"),
		qr/"$cache" of server .* nothing listens with TLS there; add "ssl" to "listen"$advice in \S+check\.conf:\d+$/,
		"$block without TLS, told of");
	}

	is(warned($t, "$block without TLS, inherited", $block => "$on server { $plain }"), '',
		"$block without TLS, inherited, nothing told of");
}

SKIP: {
skip '"ssl on" may give them TLS', 2 unless $t->has_version('1.25.1');

my $plain = join '', map { "server { listen 127.0.0.1:8080; server_name name$_; $on }\n" }
	1 .. 25;
like(warned($t, '25 servers without TLS', http => $plain),
	qr/^\[warn\] .*"$cache" of $named and 22 more has no effect: nothing listens .*$/,
	'25 servers without TLS, told of once');
}

is(warned($t, 'off without TLS', http => "server { listen 127.0.0.1:8080; $cache off; }"),
	'', 'off without TLS, nothing told of');
is(warned($t, 'with TLS as well', http => "server { listen 127.0.0.1:8080; $listen $on }"),
	'', 'with TLS as well, nothing told of');

# keys

my $other = 'server { listen 127.0.0.1:8444 ssl;';
my $keys = qr/has another "key=" in \S+check\.conf:\d+ than in \S+check\.conf:\d+, or none/;

like(warned($t, 'two keys', http => "$default $other $cache key=two.key; }"
	. 'server { listen 127.0.0.1:8445 ssl; ' . "$cache key=two.key timeout=2s; }"),
	$keys, 'two keys, told of');
is(warned($t, 'two keys, two prefixes', http => "$default $other $cache key=two.key prefix=a:; }"),
	'', 'two keys, two prefixes, nothing told of');
is(warned($t, 'one key, two timeouts', http => "$default $other $cache key=one.key timeout=2s; }"),
	'', 'one key, two timeouts, nothing told of');
is(warned($t, 'another order of keys', http => "server { $listen $cache key=one.key key=two.key; }"
	. "$other $cache key=two.key key=one.key; }"), '', 'another order, nothing told of');

is(warned($t, 'a server without TLS', http => "$cache on; $default server { listen 127.0.0.1:8080; }"),
	'', 'keys of a server without TLS, nothing told of');
unlike(warned($t, 'two keys, one socket', http => "$default server { $listen server_name b; $cache key=two.key; }"),
	$keys, 'keys of a server that is not the default one, nothing told of');
like(warned($t, 'with a key and without', http => "$default $other $cache on; }"),
	qr/$keys/, 'with a key and without, told of');

###############################################################################

# zones

my $zone = 'ssl_session_cache shared:SSL:1m;';

foreach my $case (
	[ 'port=6380', 'stores' ],
	[ 'prefix=a:', 'values of "prefix="' ],
	[ 'single_use=on', 'values of "single_use="' ])
{
	my ($words, $what) = @$case;
	my $second = "$cache key=one.key $words;";

	like(warned($t, "zone, $words", http => "$zone $default $other $second }"
		. "server { listen 127.0.0.1:8445 ssl; $second }"),
		qr/shared:SSL" .* server "first" in \S+:\d+ and for server "" in \S+:\d+, whose \Q$what\E differ/,
		"zone, $words, told of once");
}

###############################################################################

# The warnings, each on a line.

sub warned {
	my ($t, $name, $block, $lines) = @_;

	my $globals = $block eq 'http' ? '%%TEST_GLOBALS_HTTP%%' : '';
	my ($output, $code) = check_config($t, $config =~ s/BLOCK/$block/r
		=~ s/COMMON/$globals/r =~ s/LINES/$lines/r);

	is($code, 0, "$name, valid") or diag($output);

	return join "\n", $output =~ /(\[warn\].*)/g;
}

###############################################################################
