#!/usr/bin/perl

# The module tells its version, and the nginx that it was built for: in the log at
# the start, in its file, and on the status page.  Who is asked "which version?", or
# has a fleet that is half upgraded, must be able to tell.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Status;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl/);

my $config = <<'EOF';

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

$t->write_file_expand('nginx.conf', $config)->plan(6)->run();

###############################################################################

my ($version) = content("$FindBin::Bin/../Cargo.toml") =~ /^version = "(.*)"$/m;
my ($nginx) = `$Test::Nginx::NGINX -v 2>&1` =~ m!(nginx/[\d.]+)!;
my $release = "version $version (built for $nginx)";

my @told = $t->read_file('error.log')
	=~ /\[notice\] .*: sslsessioncache: module (.*)/g;

is_deeply(\@told, [ $release ], 'in the log');

my ($file) = ($ENV{TEST_NGINX_GLOBALS} // '')
	=~ /load_module\s+(\S*ssl_session_cache_module\.so)/;

ok(content($file // $Test::Nginx::NGINX) =~ /\Q$release\E/, 'in the file');
is(status()->{version}, $version, 'in JSON');
like(http_get('/status?format=prometheus'),
	qr/^nginx_remote_ssl_session_cache_info\{version="\Q$version\E",suspend=".*?"\} 1$/m,
	'for Prometheus');
like(http_get('/status?format=html'), qr/status\.version/, 'on the page');

check_config($t, $config);
unlike($t->read_file('check.log'), qr/sslsessioncache: module /, 'not in a test');

###############################################################################

sub content {
	my ($name) = @_;

	open my $file, '<:raw', $name or die "$name: $!\n";
	local $/;

	return <$file>;
}

###############################################################################
