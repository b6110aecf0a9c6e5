#!/usr/bin/perl

# What is wrong with the parameters that say how to reach the store, each by
# itself and with the others, is refused when the configuration is read, and
# the message says which parameter and what is expected.  Otherwise a slip of
# the pen shows as a store that is down, or as one that is less safe.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/)->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache PARAMETERS;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
    }
}

EOF

certificate($t, 'localhost');

private_file($t, 'password', "secret\n");
private_file($t, 'login', "nginx:secret\n");
private_file($t, 'binary', "\0\xff\r secret\n");
private_file($t, 'spaces', "nginx:pass word\n");
private_file($t, 'empty', '');
private_file($t, 'blank', "\n");
private_file($t, 'lines', "one\ntwo\n");
private_file($t, 'long', 'x' x 4097);
private_file($t, 'longest', 'x' x 4096);

SSLSessionCache::Authority->new($t, 'ca')->issue('nginx')->issue('other');

my $dir = $t->testdir();
system("openssl ec -in $dir/nginx.key -aes128 -passout pass:secret "
	. "-out $dir/locked.key >/dev/null 2>&1") == 0 or die "openssl failed\n";
system("openssl genrsa -out $dir/rsa.key >/dev/null 2>&1") == 0
	or die "openssl failed\n";

my $number = qr/expected a number from 0 to 65535/;
my $path = qr/expected "unix:" and an absolute path/;
my $printable = qr/expected printable ASCII without spaces/;
my $name = qr/expected a name in printable ASCII/;
my $file = qr/file "\S+" of parameter "auth_file"/;
my $secret = qr/expected a password/;
my $login = qr/expected user:password where type is memcached/;
my $words = qr/expected a user and a password without spaces/;
my $control = qr/expected one without control characters/;

my $flag = qr/expected on or off/;
my $filename = qr/expected the name of a file/;
my $needs_tls = qr/expected "tls" set to on with it/;
my $ca = qr/expected certificates in PEM: /;
my $cert = qr/expected a certificate in PEM: /;
my $missing = qr/"\Q$dir\E\/missing" failed \(2: No such file or directory\) in/;
my $key = qr/expected the certificate's key in PEM, without a password: /;

my @wrong = (
	[ 'addr=unix:', 'addr', $path ],
	[ 'addr=unix:relative', 'addr', $path ],
	[ 'addr=unix:/' . 'x' x 107, 'addr', $path ],
	[ "addr=unix:/s\0", 'addr', $control ],
	[ "addr=localhost\0.example", 'addr', $control ],
	[ 'addr=unix:/s port=6379', 'port', qr/expected none with a unix socket/ ],
	[ 'user= auth=x', 'user', $name ],
	[ '"user=a b" auth=x', 'user', $name ],
	[ '"user=a\nb" auth=x', 'user', $control ],
	[ 'user=nginx', 'user', qr/expected "auth" or "auth_file"/ ],
	[ 'user=a user=b auth=x', 'user', qr/repeated/ ],
	[ '"auth=a\r\nb"', 'auth', $control ],
	[ 'auth_file=', 'auth_file', qr/expected the name of a file/ ],
	[ 'auth_file=missing', 'auth_file', qr/: open\(\) $missing/ ],
	[ 'auth_file=/', 'auth_file', qr/: read\(\) "\/" failed \(21: Is a directory\) in/ ],
	[ 'auth_file=empty', $file, qr/$secret: it is empty/ ],
	[ 'auth_file=blank', $file, qr/$secret: it is empty/ ],
	[ 'auth_file=lines', $file, qr/$secret: it has more than one line/ ],
	[ 'auth_file=long', $file, qr/$secret: it is longer than 4096 bytes/ ],
	[ 'auth_file=/dev/zero', $file, qr/$secret: it is longer/ ],
	[ 'auth_file=password auth=x', 'auth_file', qr/expected none next to/ ],
	[ 'auth_file=login auth_file=login', 'auth_file', qr/repeated/ ],
	[ 'type=memcached auth=secret', 'auth', $login ],
	[ 'type=memcached auth_file=password', 'auth_file', $login ],
	[ 'type=memcached auth=:secret', 'auth', $words ],
	[ 'type=memcached auth=nginx:', 'auth', $words ],
	[ 'type=memcached "auth=ng inx:secret"', 'auth', $words ],
	[ 'type=memcached user=nginx "auth=a b"', 'auth', $words ],
	[ 'type=memcached auth_file=spaces', 'auth_file', $words ],
	[ 'db=', 'db', $number ],
	[ 'db=-1', 'db', $number ],
	[ 'db=65536', 'db', $number ],
	[ 'db=one', 'db', $number ],
	[ 'db=1 db=1', 'db', qr/repeated/ ],
	[ 'type=memcached db=1', 'db', qr/expected none where type is memcached/ ],
	[ 'prefix=', 'prefix', qr/expected a text/ ],
	[ '"prefix=a b"', 'prefix', $printable ],
	[ 'prefix=ä', 'prefix', $printable ],
	[ '"prefix=a\r\nb"', 'prefix', $control ],
	[ 'prefix=' . 'x' x 187, 'prefix', qr/expected at most 186 bytes/ ],
	[ 'prefix=a prefix=b', 'prefix', qr/repeated/ ],
	[ 'tls=maybe', 'tls', $flag ],
	[ 'tls=on tls=on', 'tls', qr/repeated/ ],
	[ 'tls=on tls_verify=', 'tls_verify', $flag ],
	[ 'tls=on tls_ca=', 'tls_ca', $filename ],
	[ 'tls=on tls_ca=missing', 'tls_ca', qr/: open\(\) $missing/ ],
	[ 'tls=on tls_ca=nginx.key', 'tls_ca', qr/$ca\w/ ],
	[ 'tls=on tls_ca=missing tls_verify=off', 'tls_ca', qr/: open\(\) $missing/ ],
	[ 'tls=on tls_name=', 'tls_name', qr/expected a DNS name or an IP/ ],
	[ 'tls=on tls_name=.example', 'tls_name', qr/expected a DNS name/ ],
	[ 'tls=on tls_name=*.example', 'tls_name', qr/expected a DNS name/ ],
	[ 'tls=on tls_name=' . 'x' x 254, 'tls_name', qr/expected a DNS name/ ],
	[ 'tls=on tls_cert=nginx.crt', 'tls_cert', qr/expected "tls_key"/ ],
	[ 'tls=on tls_key=nginx.key', 'tls_key', qr/expected "tls_cert"/ ],
	[ 'tls=on tls_cert=missing tls_key=nginx.key', 'tls_cert',
		qr/: open\(\) $missing/ ],
	[ 'tls=on tls_cert=nginx.key tls_key=nginx.key', 'tls_cert',
		qr/${cert}no start line/ ],
	[ 'tls=on tls_cert=nginx.crt tls_key=missing', 'tls_key',
		qr/: open\(\) $missing/ ],
	[ 'tls=on tls_cert=nginx.crt tls_key=nginx.crt', 'tls_key', qr/$key\w/ ],
	[ 'tls=on tls_cert=nginx.crt tls_key=other.key', 'tls_key',
		qr/${key}key values mismatch/ ],
	[ 'tls=on tls_cert=nginx.crt tls_key=rsa.key', 'tls_key', qr/$key\w/ ],
	[ 'tls=on tls_cert=nginx.crt tls_key=locked.key', 'tls_key', qr/$key\w/ ],
	[ 'tls_ca=ca.crt', 'tls_ca', $needs_tls ],
	[ 'tls_name=localhost', 'tls_name', $needs_tls ],
	[ 'tls_cert=nginx.crt tls_key=nginx.key', 'tls_cert', $needs_tls ],
	[ 'tls_key=nginx.key', 'tls_key', $needs_tls ],
	[ 'tls_verify=off', 'tls_verify', $needs_tls ],
	[ 'tls=off tls_ca=ca.crt', 'tls_ca', $needs_tls ],
	[ 'addr=unix:/s tls=on', 'tls', qr/expected "tls_name" with it/ ],
);

my @valid = (
	'addr=unix:/run/redis.sock',
	'addr=unix:/' . 'x' x 106,
	'addr=unix:/s type=memcached',
	'user=nginx auth=secret',
	'user=nginx auth_file=password',
	'auth_file=password',
	'auth_file=longest',
	'auth_file=binary',
	'auth_file=spaces',
	'type=memcached auth=nginx:secret',
	'type=memcached auth_file=login',
	'type=memcached user=nginx auth=secret',
	'type=memcached user=nginx auth_file=password',
	'db=0',
	'db=65535',
	'prefix=fleet-one:',
	'prefix=' . 'x' x 186,
	'off auth_file=missing',
	'tls=off',
	'tls=on',
	'tls=on addr=localhost',
	'tls=on addr=[::1]',
	'tls=on tls_ca=ca.crt tls_name=redis.example.',
	'tls=on tls_ca=ca.crt tls_name=::1',
	'tls=on tls_name=' . 'x' x 253 . '.',
	'tls=on tls_verify=on',
	'tls=on tls_cert=nginx.crt tls_key=nginx.key',
	"tls=on tls_ca=$dir/ca.crt tls_cert=$dir/nginx.crt tls_key=$dir/nginx.key",
	'addr=unix:/s tls=on tls_name=localhost',
	'off tls=on tls_ca=missing',
);

$t->plan(3 * @wrong + @valid + 4);

###############################################################################

foreach my $case (@wrong) {
	my ($parameters, $name, $expected) = @$case;
	my ($output, $code) = check($t, $parameters);
	my ($message) = $output =~ /(\[emerg\].*)/;

	$name = qr/parameter "$name"/ unless ref $name;
	$parameters = substr $parameters =~ s/\0/\\0/r, 0, 40;

	is($code, 1, "refused: $parameters");
	like($message, qr/"remote_ssl_session_cache" directive: .*$name/,
		"names the parameter: $parameters");
	like($message, $expected, "says what is expected: $parameters");
}

foreach my $parameters (@valid) {
	my ($output, $code) = check($t, $parameters);

	is("$code " . ($output =~ /(\[emerg\].*|\[warn\].* directive: .*)/ ? $1 : ''),
		'0 ', 'valid: ' . substr $parameters, 0, 40);
}

# what is possible, and less safe

my ($output, $code) = check($t, 'tls=on tls_verify=off');
like($output, qr/\[warn\] "remote_ssl_session_cache" .*"tls_verify=off"/,
	'without verification, warning');
is($code, 0, 'without verification, accepted');

chmod 0644, "$dir/password";
($output, $code) = check($t, 'auth_file=password');
like($output, qr/\[warn\] "remote_ssl_session_cache" .*"auth_file" can be/,
	'file for anybody, warning');
is($code, 0, 'file for anybody, accepted');

###############################################################################

sub check {
	my ($t, $parameters) = @_;

	return check_config($t, $config =~ s/PARAMETERS/$parameters/r);
}

###############################################################################
