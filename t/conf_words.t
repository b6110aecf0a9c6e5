#!/usr/bin/perl

# Who writes what nginx, another module or a client of Redis has taught him is
# told what to write here, with the file and the line, before any name is looked
# up or file opened; and no message has a password in it.  Without it he reads the
# reference for what he knows already, or the log has what it must not have.

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

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

BLOCK

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    DIRECTIVE

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');
private_file($t, 'password', 'secret');

my ($cache, $tickets, $store) = map { "remote_ssl_session_$_" }
	'cache', 'tickets', 'store';

# all are refused before the key file, which is not there

my @wrong = (
	[ 'addr=10.0.0.1:6379', 'write "addr=10.0.0.1 port=6379"' ],
	[ 'addr=[::1]:6379', 'write "addr=[::1] port=6379"' ],
	[ 'addr=redis://user:hunter2@h:1/2', 'write "addr=h port=1 db=2"' ],
	[ 'addr=rediss://h', 'write "addr=h tls=on"' ],
	[ 'addr=/run/redis.sock', 'write "addr=unix:/run/redis.sock"' ],
	[ 'addr=a.invalid,b.invalid', 'a block "remote_ssl_session_store"' ],
	[ 'addr=$redis', 'expected no variable' ],
	[ 'addr="no.invalid"', 'expected no quotes within a word' ],
	[ '"addr=10.0.0.1 "', 'write "addr=10.0.0.1"' ],
	[ 'auth="hunter2 x"', 'expected no quotes within a word' ],
	[ 'auth=big hunter2', 'unknown parameter "..." behind "auth="' ],
	[ 'tls on', 'write "tls=on"' ],
	[ 'timeout=200 ms', 'write "timeout=200ms"' ],
	[ 'ADDR=no.invalid', 'did you mean "addr="?' ],
	[ 'host=no.invalid', 'did you mean "addr="?' ],
	[ 'password=hunter2', 'did you mean "auth_file=" or "auth="?' ],
	[ 'timeuot=1s', 'did you mean "timeout="?' ],
	[ 'type=valkey', 'write "type=redis"' ],
	[ 'count=10k', 'write "count=10000"' ],
	[ 'addr=//u:hunter2@h', 'expected an IP address or a name' ],
	[ 'unix://u:hunter2@/s', 'unknown parameter "..."' ],
	[ 'addr=unix:///s?password=hunter2', 'expected "unix:" and an absolute path' ],
	[ '"prefix=redis://u:hunter2@h "', 'printable ASCII without spaces' ],
	[ 'addr=nginx:hunter2$er', 'expected no variable' ],
	[ 'db=h,password=hunter2', 'expected a number from 0 to 65535' ],
	[ 'tls=on tls_ca=redis://u:hunter2@h', 'expected the name of a file' ],
	[ 'timeout = 1 s', 'write "timeout=" and its value right behind it' ],
);

my @wrong_lines = (
	[ 'server 10.0.0.1,10.0.0.2;', 'write "server 10.0.0.1; server 10.0.0.2;"' ],
	[ 'server 10.0.0.1 6379;', 'write "server 10.0.0.1:6379;"' ],
	[ 'server /run/redis.sock;', 'write "server unix:/run/redis.sock;"' ],
	[ 'addr no.invalid;', 'did you mean "server"?' ],
	[ 'timeout=1s;', 'write "timeout 1s;"' ],
	[ 'password hunter2;', 'did you mean "auth_file" or "auth"?' ],
	[ 'auth=hunter2;', 'write "auth", a space and its value' ],
	[ 'server "redis://u:hunter2@h ";', 'invalid value of parameter "server"' ],
	[ 'server h,password=hunter2;', 'invalid value of parameter "server"' ],
	[ 'timeout="my pw";', 'write "timeout", a space and its value' ],
	[ 'auth big hunter2;', 'wrong number of values of parameter "auth"' ],
);

my @valid = ('ON', 'Off', 'tls=ON', 'type=Redis', 'suspend=AUTO', 'single_use=Off');

$t->plan(3 * @wrong + 3 * @wrong_lines + @valid + 8);

###############################################################################

refused($t, "$_->[1]", $_->[0], DIRECTIVE => "$cache key=missing.key $_->[0];")
	foreach @wrong;
refused($t, "$_->[1]", $_->[0], BLOCK => "$store fleet { auth_file missing; $_->[0] }")
	foreach @wrong_lines;
refused($t, 'write "rotate=2h"', 'tickets', DIRECTIVE => "$tickets rotate 2h;");

foreach my $words (@valid) {
	my ($output, $code) = check($t, DIRECTIVE => "$cache $words key=cache.key;");
	is($code, 0, "valid: $words") or diag($output);
}

# where the module looks later

my ($output) = check($t, DIRECTIVE => "$cache addr=no-such-host.invalid;");
like($output, qr/cannot resolve .* in \S+check\.conf:\d+$/m, 'name, place');

($output) = check($t, BLOCK => "$store fleet { server 10.0.0.1; }");
like($output, qr/store "fleet" is used by no .* in \S+check\.conf:\d+$/m, 'block, place');

# passwords that are no mistake

my ($secret, $code) = check($t, DIRECTIVE => "$cache auth=\$pass key=cache.key;");
is($code, 0, 'a dollar in a password') or diag($secret);

($output, $code) = check($t, DIRECTIVE =>
	"$cache \"auth=big hunter2\" key=cache.key;");
is($code, 0, 'spaces in a password') or diag($output);

($output) = check($t, DIRECTIVE => "$cache auth=big hunter2 timeuot=1s;");
unlike($output, qr/big|hunter2/, 'password before a slip of the pen');

###############################################################################

sub refused {
	my ($t, $expected, $words, @config) = @_;

	my ($output, $code) = check($t, @config);
	my ($message) = $output =~ /(\[emerg\].*)/;

	is($code, 1, "refused: $words");
	like($message, qr/"\w+" directive: .*\Q$expected\E.* in \S+check\.conf:\d+$/,
		"says so: $words");
	unlike($output, qr/hunter2/, "no password: $words");
}

sub check {
	my ($t, @config) = @_;

	my %lines = (BLOCK => '', DIRECTIVE => '', @config);

	return check_config($t, $config =~ s/(BLOCK|DIRECTIVE)/$lines{$1}/gr);
}

###############################################################################
