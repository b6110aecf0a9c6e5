#!/usr/bin/perl

# The way in which handshakes are suspended is chosen by itself, can be forced,
# and is named in the log.  Forced to what this nginx cannot do, the
# configuration is refused: otherwise nothing would ever be resumed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=auto;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=hello;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

# the patch of nginx adds this symbol

open my $binary, '<:raw', $Test::Nginx::NGINX or die "open() failed: $!\n";
my $patched = grep { /ngx_ssl_async_handshake/ } <$binary>;

$t->write_file_expand('nginx.conf', $config)->plan(10)->run();
SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/8443/8445/r =~ s/8444/8446/r);

###############################################################################

my %ways = $t->read_file('error.log') =~ /suspended with (.*?) (\(.*?\))/g;
my @expected = ($patched ? '(suspend=async)' : (), '(suspend=hello)');

is(join(' ', sort values %ways), "@expected", 'the ways are in the log');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	is(resumed($version, 8443, 8445), 'r', "$version, auto");
	is(resumed($version, 8444, 8446), 'r', "$version, hello");
	is(resumed($version, 8443, 8446), 'r', "$version, from auto to hello");
	is(resumed($version, 8444, 8445), 'r', "$version, from hello to auto");
}

my ($output) = check_config($t, $config =~ s/=auto/=async/r);

like($output, $patched ? qr/test is successful/
	: qr/\[emerg\].*"suspend=async".*not patched/, 'async forced');

###############################################################################

sub resumed {
	my ($version, $from, $to) = @_;

	my $r = tls_get($from, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return tls_get($to, version => $version,
		session => $r->{session})->{body};
}

###############################################################################
