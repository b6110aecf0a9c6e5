#!/usr/bin/perl

# The directives stand in stream{} and in its servers, are inherited, switched off
# and refused as in http{}, and messages say which parameter and where.  Otherwise
# a slip of the pen shows as a cache that silently does nothing, or sessions land
# where nobody asked for them.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = has_stream(Test::Nginx->new());

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%%;

    server {
        listen  127.0.0.1:8443 ssl;
        return  "x";
    }

    server {
        listen  127.0.0.1:8444 ssl;
        remote_ssl_session_cache off;
        return  "x";
    }

    server {
        listen  127.0.0.1:8445 ssl;
        remote_ssl_session_cache port=%%PORT_8381%%;
        return  "x";
    }
}

EOF

my $config = <<'EOF';

%%TEST_GLOBALS%%
MAIN

events {
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    STREAM

    upstream service {
        server 127.0.0.1:8380;
        UPSTREAM
    }

    server {
        listen  127.0.0.1:8443 ssl;
        SERVER
        proxy_pass service;
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $another = SSLSessionCache::Redis->new($t, port => 8381);
certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $cache = 'remote_ssl_session_cache';
my $tickets = 'remote_ssl_session_tickets';

my @wrong = (
	[ STREAM => "$cache port=70000;", qr/"port"/, qr/expected a number/ ],
	[ SERVER => "$cache port=70000;", qr/"port"/, qr/expected a number/ ],
	[ STREAM => "$cache timeout=1x;", qr/"timeout"/, qr/expected a time/ ],
	[ SERVER => "$cache type=mysql;", qr/"type"/, qr/expected redis/ ],
	[ SERVER => "$cache addr=127.0.0.1:6379;", qr/"addr"/, qr/write "addr=127\.0\.0\.1 port=6379"/ ],
	[ SERVER => "$cache key=no.key;", qr/"$cache"/, qr/open\(\) "\S+\/no\.key" failed/ ],
	[ SERVER => "$cache store=nowhere;", qr/"store"/, qr/nowhere/ ],
	[ SERVER => "$cache yes;", qr/unknown parameter "yes"/, qr/did you mean "on"/ ],
	[ SERVER => "$cache;", qr/invalid number of arguments/, qr/"$cache"/ ],
	[ STREAM => "$cache on; $cache off;", qr/duplicate/, qr/"$cache"/ ],
	[ SERVER => "$cache on; $cache on;", qr/duplicate/, qr/"$cache"/ ],
	[ UPSTREAM => "$cache on;", qr/not allowed here/, qr/"$cache"/ ],
	[ MAIN => "$cache on;", qr/not allowed here/, qr/"$cache"/ ],
	[ MAIN => "$tickets on;", qr/not allowed here/, qr/"$tickets"/ ],
	[ SERVER => "$tickets maybe;", qr/"$tickets"/, qr/expected/ ],
	[ SERVER => "$tickets on;", qr/"$tickets"/, qr/$cache/ ],
	[ SERVER => "$cache on; $tickets on;", qr/"$tickets"/, qr/key=/ ],
	[ SERVER => "$cache key=cache.key; $tickets on rotate=1m;", qr/"rotate"/,
		qr/expected/ ],
);

my @valid = (
	[ STREAM => "$cache on key=cache.key;" ],
	[ SERVER => "$cache key=cache.key;" ],
	[ STREAM => "$cache on key=cache.key;", SERVER => "$cache off;" ],
	[ STREAM => "$cache off;", SERVER => "$cache port=6380 key=cache.key;" ],
	[ MAIN => 'remote_ssl_session_store fleet { server 127.0.0.1; }',
		STREAM => "$cache store=fleet key=cache.key;" ],
	[ STREAM => "$cache on key=cache.key;", SERVER => 'listen 127.0.0.1:8444 udp;' ],
	[ STREAM => "$cache key=cache.key; $tickets on;" ],
	[ STREAM => "$cache key=cache.key;", SERVER => "$tickets on rotate=2h;" ],
	[ STREAM => "$cache key=cache.key; $tickets on;", SERVER => "$tickets off;" ],
);

my @warned = (
	[ 'sessions in clear', qr/without "key="/, SERVER => "$cache on;" ],
	[ 'short timer', qr/"ssl_handshake_timeout", which is 1000ms/,
		SERVER => "$cache key=cache.key; ssl_handshake_timeout 1s;" ],
	[ 'tickets of nginx', qr/stateless session tickets are asked for/,
		SERVER => "$cache key=cache.key; ssl_session_tickets on;" ],
	[ 'no resumption', qr/"ssl_session_cache off"/,
		SERVER => "$cache key=cache.key; ssl_session_cache off;" ],
	[ 'cache of a worker', qr/"ssl_session_cache builtin" is ignored/,
		SERVER => "$cache key=cache.key; ssl_session_cache builtin;" ],
);

$t->plan(3 + 4 * @wrong + @valid + 3 * @warned)->run();

###############################################################################

# records in the store of stream{}, in the other one, and a resumption: that of
# the server without the cache is by a stateless ticket

is(made(8443), '1 0 1', 'inherited');
is(made(8444), '0 0 1', 'switched off');
is(made(8445), '0 1 1', 'its own');

foreach my $case (@wrong) {
	my ($place, $line, @expected) = @$case;
	my ($output, $code) = check($t, $place => $line);
	my ($message) = $output =~ /(\[emerg\].*)/;

	is($code, 1, "refused in $place: $line");
	like($message, $_, "says so: $line") foreach @expected;
	like($message, qr/ in .*check\.conf:\d+/, "says where: $line");
}

foreach my $case (@valid) {
	my ($output, $code) = check($t, @$case);

	is("$code " . ($output =~ /(\[emerg\].*|\[warn\].*)/ ? $1 : ''), '0 ',
		"valid: @$case");
}

foreach my $case (@warned) {
	my ($name, $expected, @lines) = @$case;
	my ($output, $code) = check($t, @lines);
	my @warnings = $output =~ /\[warn\].*/g;

	is($code, 0, "$name, valid");
	is(@warnings, 1, "$name, one warning") or diag($output);
	like("@warnings", $expected, "$name, which says why");
}

###############################################################################

sub made {
	my ($port) = @_;

	$_->clear() foreach $redis, $another;

	my $r = stream_get($port, version => 'TLSv1.2');
	my $reused = stream_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};

	return join ' ', scalar $redis->keys(), scalar $another->keys(), $reused;
}

sub check {
	my ($t, %lines) = @_;

	return check_config($t, $config =~ s{^( *)(MAIN|STREAM|UPSTREAM|SERVER)$}
		{$1 . ($lines{$2} // '')}mger);
}

###############################################################################
