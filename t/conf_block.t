#!/usr/bin/perl

# Whatever is wrong with the block of a store is refused when the configuration
# is read, in the words in which the directive refuses it, and the message says
# which word and what is expected.  Otherwise a fleet of servers is spoken to in
# a way that nobody meant, and a password shows in a log.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

BEFORE

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache DIRECTIVE;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
    }
}

AFTER

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');
private_file($t, 'password', "secret\n");
private_file($t, 'empty', '');
SSLSessionCache::Authority->new($t, 'ca')->issue('nginx');

$t->write_file('servers.inc', "server 10.0.0.1;\nserver 10.0.0.2;\n");
$t->write_file('wrong.inc', "server 10.0.0.1;\n\nport 0;\n");

# words that a block and the directive have in common

my @common = (
	[ 'port', '0' ], [ 'port', '70000' ], [ 'type', 'mysql' ],
	[ 'interval', '1x' ], [ 'count', 'many' ], [ 'timeout', '-1' ],
	[ 'user', 'ä' ], [ 'user', 'nginx' ], [ 'auth', '""' ],
	[ 'auth', '"a\nb"' ], [ 'auth_file', 'missing' ],
	[ 'auth_file', 'empty' ], [ 'db', '65536' ], [ 'tls', 'maybe' ],
	[ 'tls_ca', 'ca.crt' ], [ 'tls_name', 'localhost' ],
	[ 'tls_cert', 'nginx.crt' ], [ 'tls_verify', 'off' ],
	[ 'tls', 'on', 'tls_ca', 'missing' ],
	[ 'tls', 'on', 'tls_name', '*.example' ],
	[ 'tls', 'on', 'tls_cert', 'nginx.crt' ],
	[ 'tls', 'on', 'tls_cert', 'nginx.key', 'tls_key', 'nginx.key' ],
	[ 'type', 'memcached', 'db', '1' ],
	[ 'type', 'memcached', 'auth', 'hidden' ],
	[ 'auth', 'hidden', 'auth_file', 'password' ],
);

my $place = qr/in "remote_ssl_session_cache"/;
my $address = qr/expected an IP address or a name/;
my $letters = qr/expected a name of at most 64 letters/;
my $url = 'server redis://nginx:hidden@10.0.0.1/1;';

my @wrong = (
	[ '', 'server', qr/expected one at least/ ],
	[ 'cluster on;', 'server', qr/expected one at least/ ],
	[ 'server;', 'server', qr/wrong number .* expected one/ ],
	[ 'server 10.0.0.1 10.0.0.2;', 'server', qr/wrong number .* a line "server" for/ ],
	[ 'server "";', 'server', $address ],
	[ 'server 10.0.0.1:x;', 'server', qr/expected a port from 1 to 65535/ ],
	[ 'server unix:relative;', 'server', qr/expected "unix:" and an absolute/ ],
	[ 'server 10.0.0.1; server 10.0.0.1:6379;', 'server',
		qr/"10\.0\.0\.1:6379".* expected each server once/ ],
	[ 'server no-such-host.invalid;', 'server',
		qr/cannot resolve .*no-such-host\.invalid:6379 of store "fleet"/ ],
	[ 'server 10.0.0.1; port 1; port 2;', 'port', qr/repeated/ ],
	[ 'server 10.0.0.1; key cache.key;', 'key', $place ],
	[ 'server 10.0.0.1; prefix a:;', 'prefix', $place ],
	[ 'server 10.0.0.1; suspend hello;', 'suspend', $place ],
	[ 'addr 10.0.0.1;', 'addr', qr/did you mean "server"\?/ ],
	[ 'host 10.0.0.1;', 'host', qr/unknown .* did you mean "server"\?/ ],
	[ 'server 10.0.0.1; port=1;', 'port=', qr/unknown .* write "port 1;"/ ],
	[ 'server 10.0.0.1; cluster maybe;', 'cluster', qr/expected on or off/ ],
	[ 'server 10.0.0.1; cluster on; type memcached;', 'cluster',
		qr/expected none where type is memcached/ ],
	[ 'server 10.0.0.1; cluster on; db 1;', 'db',
		qr/expected none but 0 where cluster is on/ ],
	[ 'server unix:/s; cluster on;', 'server', qr/expected an IP .* cluster is on/ ],
	[ 'server 10.0.0.1; sentinel m; type memcached;', 'sentinel',
		qr/expected none where type is memcached/ ],
	[ 'server 10.0.0.1; sentinel m; cluster on;', 'sentinel',
		qr/expected none where cluster is on/ ],
	[ 'server unix:/s; sentinel m;', 'server', qr/expected an IP .* of a Sentinel/ ],
	[ 'server 10.0.0.1; sentinel_user a;', 'sentinel_user',
		qr/expected "sentinel" with it/ ],
	[ 'server 10.0.0.1; sentinel m; sentinel_user a;', 'sentinel_user',
		qr/expected "sentinel_auth_file" with it/ ],
	[ 'server 10.0.0.1; sentinel m; sentinel_auth_file missing;',
		'sentinel_auth_file', qr/open\(\) "\S+\/missing" failed \(2: No such file/ ],
	[ 'server 10.0.0.1; resolver no-such-host.invalid;', 'resolver',
		qr/expected what nginx's own takes/ ],
	[ 'server 10.0.0.1; resolver 127.0.0.1 vald=1s;', 'resolver',
		qr/expected what nginx's own takes/ ],
	[ 'server 10.0.0.1; resolver;', 'resolver', qr/expected one or more/ ],
	[ 'server 10.0.0.1; resolver [::1]; resolver [::1];', 'resolver', qr/repeated/ ],
	[ 'server 10.0.0.1; fallback fleet;', 'fallback', qr/expected another store/ ],
	[ 'server 10.0.0.1; fallback far;', 'fallback',
		qr/unknown store "far".* before this defines/ ],
	[ 'server 10.0.0.1; fallback a/b;', 'fallback', $letters ],
	[ 'server 10.0.0.1; site 0;', 'site', qr/expected a number from 1 to 15/ ],
	[ 'server 10.0.0.1; site 16;', 'site', qr/expected a number from 1 to 15/ ],
	[ 'server http://10.0.0.1;', 'server', qr/expected a URL that begins with/ ],
	[ 'server redis://10.0.0.1?db=1;', 'server', qr/expected a URL without a query/ ],
	[ 'server redis://10.0.0.1/x;', 'server', qr/expected a URL with nothing or/ ],
	[ 'server redis://10.0.0.1; type memcached;', 'type',
		qr/expected none but redis next to a URL/ ],
	[ 'server rediss://10.0.0.1; tls on;', 'tls',
		qr!expected none next to a URL, where "rediss://" says it! ],
	[ 'server redis://nginx:hidden@10.0.0.1:0;', 'server', qr/expected a port/ ],
	[ 'server redis://nginx:hidden%@10.0.0.1;', 'server', qr/expected a URL with/ ],
	[ 'server nginx:hidden@10.0.0.1;', 'server', qr/expected no "@"/ ],
	[ 'redis://nginx:hidden@10.0.0.1;', qr/\.\.\./, qr/unknown/ ],
	[ "$url user nginx;", 'user', qr/expected none next to a URL with a user/ ],
	[ "$url auth hidden;", 'auth', qr/expected none next to a URL with a password/ ],
	[ "$url auth_file password;", 'auth_file',
		qr/expected none next to a URL with a password/ ],
	[ "$url db 1;", 'db', qr/expected none next to a URL with a database/ ],
	[ "$url cluster on;", 'db', qr/expected none but 0 where cluster is on/ ],
	[ "$url sentinel m;", 'server', qr/expected a URL without user, password/ ],
	[ "$url server 10.0.0.2;", 'server', qr/expected URLs for all servers/ ],
	[ $url . ' server redis://other:hidden@10.0.0.2/1;', 'server',
		qr/expected URLs with the same user/ ],
	[ $url . ' server redis://nginx:hidden2@10.0.0.2/1;', 'server',
		qr/expected URLs with the same password/ ],
	[ $url . ' server redis://nginx:hidden@10.0.0.2/2;', 'server',
		qr/expected URLs with the same database/ ],
	[ $url . ' server rediss://nginx:hidden@10.0.0.2/1;', 'server',
		qr!expected URLs that all begin with "rediss://" or none! ],
);

my @valid = (
	'server 10.0.0.1;',
	'server localhost:1;',
	'server ::1; server [::2]; server [::3]:6380;',
	'server unix:/run/redis.sock; server 10.0.0.1; port 6380;',
	'type memcached; server 10.0.0.1; server 10.0.0.2; server unix:/s;',
	'type memcached; server 10.0.0.1; user nginx; auth_file password;',
	'cluster on; server 10.0.0.1; server 10.0.0.2:7001; db 0;',
	'sentinel mymaster; server 10.0.0.1; server 10.0.0.2:1; db 3; '
		. 'sentinel_user a; sentinel_auth_file password; auth_file password;',
	'server no-such-host.invalid; server 10.0.0.1; resolver 127.0.0.1 '
		. 'valid=30s ipv6=off;',
	'server 10.0.0.1; site 15;',
	'server redis://nginx:hidden@10.0.0.1:6380/1; '
		. 'server valkey://nginx:hidden@[::1]/1; interval 1s; timeout 2s;',
	'server rediss://localhost; tls_ca ca.crt; auth hidden;',
	'server valkeys://10.0.0.1; server valkeys://10.0.0.2; sentinel m;',
	'include servers.inc; cluster on; count unlimited;',
	'include servers*.inc;',
);

$t->plan(4 * @wrong + 2 * @common + @valid + 49);

###############################################################################

foreach my $case (@wrong) {
	my ($block, $name, $expected) = @$case;
	my ($output, $code) = check($t, block => $block);
	my $message = join "\n", $output =~ /(\[emerg\].*)/g;

	is($code, 1, "refused: $block");
	like($message, qr/"remote_ssl_session_store".* parameter "$name"/,
		"names the word: $block");
	like($message, $expected, "says what is expected: $block");
	unlike($output, qr/hidden/, "no password: $block");
}

# in the words of the directive

foreach my $words (@common) {
	my (@lines, @parameters);
	my @rest = @$words;

	while (my ($name, $value) = splice @rest, 0, 2) {
		push @lines, "$name $value;";
		push @parameters, $value =~ /^"(.*)"$/ ? "\"$name=$1\"" : "$name=$value";
	}

	my ($of_block) = check($t, block => "server 127.0.0.1; @lines");
	my ($of_directive) = check($t, directive => "@parameters");

	foreach ($of_block, $of_directive) {
		s/.*\[emerg\] "\w+" directive: (.*?) in \S+:\d+\n.*/$1/s;
	}

	like($of_block, qr/parameter/, "refused: @lines");
	is($of_block, $of_directive, "in the directive's words: @lines");
}

foreach my $block (@valid) {
	my ($output, $code) = check($t, block => $block);

	is("$code " . ($output =~ /(\[emerg\].*|\[warn\].* directive: .*)/ ? $1 : ''),
		'0 ', "valid: $block");
}

# its name, and where it stands

my $one = 'server 10.0.0.1;';
my $fleet = "remote_ssl_session_store fleet { $one }";

refused($t, qr/parameter "name", $letters/, 'name',
	before => "remote_ssl_session_store \"a b\" { $one }");
refused($t, qr/invalid number of arguments/, 'without a name',
	before => "remote_ssl_session_store { $one }");
refused($t, qr/the store "fleet" is defined already, expected another name/,
	'twice', before => "$fleet $fleet");
refused($t, qr/unknown store "fleet" of parameter "store".*before this defines/,
	'after its use', before => '', after => $fleet);
refused($t, qr/unknown store "other" of parameter "store"/, 'unknown',
	directive => 'store=other');
refused($t, qr/unexpected "\{"/, 'a block within', block => "$one server { a b; }");
refused($t, qr/is not allowed here/, 'within http', before => $fleet,
	directive => "store=fleet; $fleet server_tokens off");
refused($t, qr/parameter "port", expected none next to "store"/, 'words next to it',
	directive => 'store=fleet port=1');
refused($t, qr/parameter "addr", expected none next to "store"/, 'addr next to it',
	directive => 'addr=127.0.0.1 store=fleet');
refused($t, qr/parameter "cluster" here, expected it in a block/,
	'a word of the block', directive => 'cluster=on');

# where a message points to

my ($output) = check($t, block => "$one\n\nport 0;\n");
like($output, qr/parameter "port".* in \S+check\.conf:14/, 'line of a word');

($output) = check($t, block => "include wrong.inc;\n");
like($output, qr/parameter "port".* in \S+wrong\.inc:3/,
	'line of a word in an included file');

($output) = check($t, block => "include missing.inc;\n");
like($output, qr/\[emerg\].*missing\.inc/, 'no included file');

# fallback and site

my $far = 'remote_ssl_session_store far { server 10.0.1.1; site 2; }';
my $near = 'remote_ssl_session_store fleet { server 10.0.0.1; site';

refused($t, qr/unknown store "far" of parameter "fallback"/, 'fallback, behind',
	before => "$near 1; fallback far; } $far");
refused($t, qr/"2" of parameter "site", expected another number than that of the/,
	'fallback of the same site', before => "$far $near 2; fallback far; }");
refused($t, qr/"far" of parameter "fallback", expected a store with a "timeout" of at/,
	'fallback that may take longer',
	before => "$far $near 1; timeout 499ms; fallback far; }");
refused($t, qr/each worker connects to 257 servers of stores, more than half of its 512/,
	'more servers than connections', block => join ' ',
	map { "server 10.0.1." . $_ % 250 . ':' . (7000 + $_) . ';' } 1 .. 257);
foreach my $line ('auth=hunter2', 'auth:hunter2', 'server nginx:hunter2',
	'server redis://u:hunter2', 'server redis://h?password=hunter2',
	'resolver redis://u:hunter2@h')
{
	my ($output) = check($t, block => "server 10.0.0.1; $line;");
	like($output, qr/\[emerg\] (?!.*hunter2)/, "$line, not shown");
}
refused($t, qr/no parameter "key", expected one with a store that has "site"/,
	'site without a key', before => "$near 1; }", directive => 'store=fleet');

my $code;
($output, $code) = check($t, before => "$far $near 1; fallback far; }");
is($code, 0, 'fallback');
unlike($output, qr/\[emerg\]|directive: /, 'fallback, no message');

($output, $code) = check($t, before => 'remote_ssl_session_store far '
	. "{ server no-such-host.invalid; } $near 1; fallback far; }");
is($code, 1, 'fallback that is not found');
like($output, qr/cannot resolve parameter "server".* of store "far"/,
	'fallback that is not found, message');

# what is possible, and less good

($output, $code) = check($t, block => "$one cluster on;",
	directive => 'store=fleet "prefix={a}:" key=cache.key');
is($code, 0, 'hash tag, accepted');
like($output, qr/\[warn\].* brace in "prefix", all keys .* on one node/,
	'hash tag, warning');

($output) = check($t, block => $one,
	directive => 'store=fleet "prefix={a}:" key=cache.key');
unlike($output, qr/brace/, 'hash tag, no cluster');

($output, $code) = check($t, block => "$one tls on; tls_verify off;");
is($code, 0, 'without verification, accepted');
like($output, qr/\[warn\] "remote_ssl_session_store" .*"tls_verify=off"/,
	'without verification, warning');

($output) = check($t, block => "server no-such-host.invalid; $one resolver [::1];");
like($output, qr/\[warn\] .*"remote_ssl_session_store" cannot resolve .*"fleet"/,
	'unknown name, warning');

###############################################################################

sub refused {
	my ($t, $expected, $name, @config) = @_;

	my ($output, $code) = check($t, @config);

	is($code, 1, "$name, refused");
	like($output, qr/\[emerg\] .*$expected/, "$name, message");
}

sub check {
	my ($t, @config) = @_;

	my %opts = (directive => 'store=fleet key=cache.key', after => '', @config);

	my $block = $opts{block} // 'server 127.0.0.1;';
	my $before = $opts{before} // "remote_ssl_session_store fleet {\n$block\n}";

	return check_config($t, $config =~ s/DIRECTIVE/$opts{directive}/r
		=~ s/BEFORE/$before/r =~ s/AFTER/$opts{after}/r);
}

###############################################################################
