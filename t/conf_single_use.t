#!/usr/bin/perl

# What "single_use" may say, and what is warned of: sessions that are to be used
# once and are not claimed.  Otherwise early data is off, or tickets are resumed
# over and over, and nobody knows why.

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

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

remote_ssl_session_store south {
    server    127.0.0.1:8380;
    site      2;
}

remote_ssl_session_store north {
    server    127.0.0.1:8379;
    site      1;
    fallback  south;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache STORE key=cache.key PARAMETERS;
        DIRECTIVES
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $early = 'ssl_early_data on;';
my $tickets = 'remote_ssl_session_tickets on;';

my $not_claimed = qr/no early data is accepted .* say "single_use=off"/;
my $not_held = qr/it does not hold for the tickets .* switch one of the two off/;
my $not_resumed = qr/another site are not resumed.* or leave "fallback" out/;

$t->plan(46);

###############################################################################

foreach my $value ('', 'always', '2', 'early', 'early_data,on') {
	my ($output, $code) = check($t, parameters => "single_use=$value");

	is($code, 1, "refused: $value");
	like($output, qr/\[emerg\].*"single_use", expected off, early_data or on/,
		"says so: $value");
}

my ($output, $code) = check($t, parameters => 'single_use=on single_use=on');
is($code, 1, 'twice');
like($output, qr/\[emerg\].*repeated parameter "single_use"/, 'twice, says so');

foreach my $value ('off', 'early_data', 'on') {
	my $parameters = "single_use=$value";

	warns($t, [], $parameters, parameters => $parameters);
	warns($t, [], "$parameters, early data", parameters => $parameters,
		directives => $early);
}

warns($t, [], 'default, early data', directives => $early);
warns($t, [], 'default, tickets', directives => $tickets);
warns($t, [], 'default, fallback', store => 'store=north', directives => $early);
warns($t, [], 'off, tickets', parameters => 'single_use=off',
	directives => "$early $tickets");
warns($t, [], 'off, fallback', store => 'store=north',
	parameters => 'single_use=off');

warns($t, [ 'early_data', $not_claimed ], 'default, early data and tickets',
	directives => "$early $tickets");
warns($t, [ 'on', $not_held ], 'on, tickets', parameters => 'single_use=on',
	directives => $tickets);
warns($t, [ 'on', $not_resumed ], 'on, fallback', store => 'store=north',
	parameters => 'single_use=on');
warns($t, [ 'on', $not_held ], 'on, tickets and fallback', store => 'store=north',
	parameters => 'single_use=on', directives => $tickets);

###############################################################################

# The configuration is valid, and there is a warning about the parameter, or none.

sub warns {
	my ($t, $expected, $name, @places) = @_;
	my ($value, $text) = @$expected;

	my ($output, $code) = check($t, @places);
	my @warnings = $output =~ /\[warn\] .*?("single_use=.*)/g;

	is($code, 0, "$name, valid");
	is(@warnings, defined $value ? 1 : 0, "$name, warnings")
		or diag($output);
	like($warnings[0], qr/^"single_use=$value" of .*"localhost" in .*: .*$text/,
		"$name, what is told") if defined $value;
}

sub check {
	my ($t, %places) = @_;

	my $text = $config;

	foreach my $place ('store', 'parameters', 'directives') {
		my $words = $places{$place} // '';
		$text =~ s/\U$place\E/$words/;
	}

	return check_config($t, $text);
}

###############################################################################
