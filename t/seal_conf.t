#!/usr/bin/perl

# A key file that is not one is refused when the configuration is read, and one
# that others can read is warned of, as is having none.  Without it a truncated
# copy shows as sessions that are not resumed, or a public key as nothing at all.

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

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOC';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    CACHE

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  one;
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  two;
    }
}

EOC

certificate($t, 'localhost');

my $dir = $t->testdir();
my $one = seal_key($t, 'one.key');
seal_key($t, 'two.key');
seal_key($t, 'copy.key', $one);
seal_key($t, 'empty.key', '');
seal_key($t, 'short.key', substr $one, 1);
seal_key($t, 'long.key', "$one\n");
seal_key($t, 'hex.key', unpack 'H*', $one);
symlink 'one.key', "$dir/link.key";

my $length = qr/exactly 32 bytes/;
my $twice = qr/the same key twice/;

my @wrong = (
	[ 'key=', qr/expected the name of a file/ ],
	[ 'key=missing.key', qr/: open\(\) "\Q$dir\E\/missing\.key" failed \(2: No such file or directory\) in/ ],
	[ 'key=empty.key', qr/\/empty\.key": .*$length/ ],
	[ 'key=short.key', qr/\/short\.key": .*$length/ ],
	[ 'key=long.key', qr/\/long\.key": .*$length/ ],
	[ 'key=hex.key', $length ],
	[ "key=$dir", qr/invalid key file/ ],
	[ 'key=one.key key=short.key', qr/\/short\.key": .*$length/ ],
	[ 'key=one.key key=one.key', qr/\/one\.key": .*$twice/ ],
	[ 'key=one.key key=copy.key', qr/\/copy\.key": .*$twice/ ],
	[ 'key=one.key key=two.key key=link.key', qr/\/link\.key": .*$twice/ ],
);

my @valid = (
	'key=one.key', "key=$dir/one.key", 'key=one.key key=two.key',
	'on key=two.key key=one.key', 'key=link.key', 'off key=missing.key',
);

my @open = (0644, 0640, 0604, 0660, 0601);

$t->plan(2 * @wrong + @valid + 2 * @open + 5);

###############################################################################

foreach my $case (@wrong) {
	my ($parameters, $expected) = @$case;
	my ($output, $code) = check($t, $parameters);

	is($code, 1, "refused: $parameters");
	like($output, qr/\[emerg\].*$expected/, "says so: $parameters");
}

foreach my $parameters (@valid) {
	my ($output, $code) = check($t, $parameters);

	is("$code " . ($output =~ /(\[(?:emerg|warn)\].*)/ ? $1 : ''), '0 ',
		"valid: $parameters");
}

foreach my $mode (@open) {
	my $name = sprintf '%o', $mode;

	chmod $mode, "$dir/one.key";
	my ($output, $code) = check($t, 'key=one.key');

	is($code, 0, "mode $name");
	like($output, qr/\[warn\].*one\.key".*chmod 600/, "mode $name, warning");
}

chmod 0600, "$dir/one.key";

# without a key: said once, with what to do

my ($output, $code) = check($t, 'on');
my @warnings = $output =~ /(\[warn\].*)/g;

is($code, 0, 'no key');
is(@warnings, 1, 'no key, one warning');
like($warnings[0], qr/openssl rand 32 > cache\.key.* in \S+check\.conf:\d+$/,
	'no key, what to do and where');

($output, $code) = check($t, 'off');
unlike($output, qr/\[warn\]/, 'no key, off');

# what is shown never holds the key

($output, $code) = check($t, 'key=one.key key=copy.key');
is(index($output, $one), -1, 'key is not shown');

###############################################################################

sub check {
	my ($t, $parameters) = @_;

	return check_config($t,
		$config =~ s/CACHE/remote_ssl_session_cache $parameters;/r);
}

###############################################################################
