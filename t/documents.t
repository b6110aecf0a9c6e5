#!/usr/bin/perl

# Each configuration in the documents passes "nginx -t": as a whole
# nginx.conf, or as what stands in http{} or in a server there.  Whoever copies
# one that does not begins with an error.

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
	->has(qw/http http_ssl mail mail_ssl stream stream_ssl/)
	->has_daemon('openssl');
my $root = "$FindBin::Bin/..";
my @blocks = map { blocks($_) } sort glob join ' ', map { "$root/$_" }
	qw(*.md docs/*.md dist/*/*.md examples/*.md patches/*.md);

my $certificate = certificate($t, 'example');
mkdir $t->testdir() . '/logs';
my %files = (
	certificate => content("$certificate.crt"),
	key => content("$certificate.key"),
	sealing_key => seal_key($t, 'random'),
	password => 'secret',
);
my %kinds = (
	auth_file => 'password',
	key => 'sealing_key',
	sentinel_auth_file => 'password',
	ssl_certificate => 'certificate',
	ssl_certificate_key => 'key',
	ssl_client_certificate => 'certificate',
	tls_ca => 'certificate',
	tls_cert => 'certificate',
	tls_key => 'key',
);

$t->plan(1 + 2 * @blocks);

###############################################################################

cmp_ok(@blocks, '>=', 20, 'configurations');

foreach my $block (@blocks) {
	my ($place, $config) = @$block;
	my $output;

	foreach my $whole (contexts(local_config($t, $config))) {
		($output) = check_config($t, $whole);
		last unless $output =~ /is not allowed here/;
	}

	like($output, qr/test is successful/, $place);
	unlike($output, qr/\[(?!notice)\w+\]/, "$place, without a warning");
}

###############################################################################

# The configurations of a document, each with its place there.

sub blocks {
	my ($name) = @_;

	my $text = content($name);
	my @found;

	$name =~ s!^\Q$root\E/!!;

	while ($text =~ /^( *)``` *nginx\n(.*?)^\1```$/msg) {
		my $line = 1 + substr($text, 0, $-[0]) =~ tr/\n//;

		push @found, [ "$name:$line", $2 ];
	}

	return @found;
}

# The configuration with what there is here: addresses, ports and files.

sub local_config {
	my ($t, $config) = @_;

	my $dir = $t->testdir();
	my %addresses;

	$config =~ s/^\s*load_module modules\/ngx_http_ssl_session_cache_module\.so;$//mg;
	$config =~ s!/etc/!$dir/etc/!g;
	$config =~ s!/var/log/nginx/!$dir/!g;
	$config =~ s{\b(?:[\w-]+\.)+example\.(?:com|net|org)\b|\b10(?:\.\d+){3}\b(?!/)}
		{ $addresses{$&} //= '127.0.0.' . (1 + keys %addresses) }ge;
	$config =~ s/^(\s*listen\s+)(?:\S+:)?(\d+)(?=[ ;])/
		"${1}127.0.0.1:" . ($2 + ($2 < 1024 ? 20000 : 0))/mgex;

	while ($config =~ /\b(\w+)[\s=]+([\w.\/-]+\.\w+)(?=[\s;])/g) {
		provide($t, $2, $files{$kinds{$1}}) if $kinds{$1};
	}

	return $config;
}

# A file in the test's directory, or in a folder there.

sub provide {
	my ($t, $name, $content) = @_;

	my $folder = $t->testdir();

	$name =~ s!^\Q$folder\E/!!;
	mkdir $folder .= "/$_" foreach $name =~ m!([^/]+)/!g;
	private_file($t, $name, $content);
}

# What the configuration may be meant as, with what is said elsewhere.

sub contexts {
	my ($config) = @_;

	my $http = '';
	my $server = 'server { listen 127.0.0.1:8443 ssl; }';
	my $main = "%%TEST_GLOBALS%%\n";

	$main .= "events { }\n" unless $config =~ /^events\b/m;
	$main .= "remote_ssl_session_store $_ { server 127.0.0.1; }\n"
		foreach grep { $config !~ /^remote_ssl_session_store $_\b/m }
		$config =~ /\bstore=(\w+)/g;
	$http .= "ssl_certificate $certificate.crt; ssl_certificate_key $certificate.key;\n"
		unless $config =~ /\bssl_certificate\b/;
	$http .= "$server\n" unless $config =~ /\bserver \{/;

	my $whole = $config =~ s/^http \{\n/$&$http/mr;

	if ($config =~ /^remote_ssl_session_store (\w+)/m && $config !~ /^http /m) {
		$whole .= "http {\n${http}remote_ssl_session_cache store=$1 key=random;\n}";
	}

	return ("$main$whole", "${main}http {\n$http$config\n}",
		"${main}http {\n${http}server { listen 127.0.0.1:8444 ssl;\n$config\n}\n}");
}

sub content {
	my ($name) = @_;

	local (@ARGV, $/) = $name;

	return <>;
}

###############################################################################
