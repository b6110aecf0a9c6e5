#!/usr/bin/perl

# Every nginx.conf in examples/ passes "nginx -t", and so does what is to be
# added to Debian's.  Whoever copies one that does not begins with an error.

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
my $dir = $t->testdir();
my $examples = "$FindBin::Bin/../examples";
my %examples = map { $_ => content($_) } glob "$examples/*.conf";

foreach my $name ('example', 'redis-ca') {
	certificate($t, $name);
}

seal_key($t, 'cache.key');
private_file($t, "$_.password", 'secret') foreach 'redis', 'sentinel';

my ($added) = content("$examples/debian.md")
	=~ m!^`/etc/nginx/conf\.d/.*\n\n```nginx\n(.*?)^```!ms;

$examples{'debian.md'} = <<"EOF";
%%TEST_GLOBALS%%

events {
}

http {
    access_log  /var/log/nginx/access.log;

$added
    ssl_certificate      /etc/nginx/example.crt;
    ssl_certificate_key  /etc/nginx/example.key;

    server {
        listen       443 ssl;
    }
}
EOF

$t->plan(1 + 2 * keys %examples);

###############################################################################

cmp_ok(keys %examples, '>=', 8, 'examples');

foreach my $example (sort keys %examples) {
	my ($name) = $example =~ m!([^/]+)$!;
	my $config = $examples{$example};

	# what is different here

	$config =~ s/^load_module .*?;$/%%TEST_GLOBALS%%/m;
	$config =~ s!/(?:etc|var/log)/nginx/!$dir/!g;
	$config =~ s/addr=[\w.-]+/addr=127.0.0.1/;
	my $number = 0;
	$config =~ s/^(    server +)[\w.-]+(?=[:;])/"${1}127.0.0." . ++$number/gme;
	my $port = 8443;
	$config =~ s/^( +listen +)\d+(?=[ ;])/"${1}127.0.0.1:" . $port++/gme;

	$t->write_file_expand('nginx.conf', $config);
	my $output = $t->dump_config();

	like($output, qr/test is successful/, "$name, passes");
	unlike($output, qr/\[(?!notice)\w+\]/, "$name, without a warning");
}

###############################################################################

sub content {
	my ($name) = @_;

	local (@ARGV, $/) = $name;

	return <>;
}

###############################################################################
