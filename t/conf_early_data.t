#!/usr/bin/perl

# With early data, OpenSSL's protection against its replay takes each session
# out of the cache before it resumes it, and finds none in its own: nothing would
# ever be resumed.  nginx switches the protection off; where ssl_conf_command
# switches it on again, a warning says so.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        DIRECTIVES
    }
}

EOF

certificate($t, 'localhost');

my $on = 'remote_ssl_session_cache on;';
my $early = 'ssl_early_data on;';
my $protected = 'ssl_conf_command Options AntiReplay;';
my $unprotected = 'ssl_conf_command Options -AntiReplay;';

$t->plan(10);

###############################################################################

warns($t, 1, 'early data and the protection', $on, $early, $protected);
warns($t, 0, 'early data', $on, $early);
warns($t, 0, 'without the protection', $on, $early, $unprotected);
warns($t, 0, 'the protection', $on, $protected);
warns($t, 0, 'without the cache', $early, $protected);

###############################################################################

sub warns {
	my ($t, $expected, $name, @directives) = @_;

	my ($output, $code) = check_config($t,
		$config =~ s/DIRECTIVES/@directives/r);
	my @warnings = $output =~ /\[warn\].*AntiReplay.*"localhost".*/g;

	is($code, 0, "$name, valid");
	is(@warnings, $expected, "$name, warnings");
}

###############################################################################
