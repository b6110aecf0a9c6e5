#!/usr/bin/perl

# Prometheus takes the rules of examples/alerts.yml, each fires where it should and
# nowhere else, and says how bad that is and what to do; and Prometheus's own
# tool finds nothing wrong with the metrics.  Otherwise nobody is woken, or is
# woken every night until the alerts are switched off.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('promtool');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache   port=%%PORT_8379%% key=cache.key;
        remote_ssl_session_tickets on;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $rules = "$FindBin::Bin/../examples/alerts.yml";
my $tests = "$FindBin::Bin/alerts_test.yml";
my %alerts = alerts($rules);

$t->plan(5 + keys %alerts)->run();

###############################################################################

is(promtool('check', 'rules', $rules), '', 'rules');
is(promtool('test', 'rules', $tests), '', 'tests of the rules');

my $tested = content($tests);

foreach my $name (sort keys %alerts) {
	my @missing = grep { $alerts{$name} !~ /^\s+$_: ?\S/m }
		qw/ expr for severity summary description document /;
	push @missing, 'a test' if $tested !~ /alertname="$name"/;

	is_deeply(\@missing, [], "$name is whole");
}

# an empty page, and one with all that there is

is(metrics_checked($t), '', 'metrics');

my $r = tls_get(8443, version => 'TLSv1.3');
tls_get(8443, version => 'TLSv1.3', session => $r->{session});
wait_status(sub { $_[0]{handshakes}{ticket}
	&& $_[0]{tickets}[0]{state} eq 'fleet' });

is(metrics_checked($t), '', 'metrics once there were handshakes');
like($t->read_file('metrics'), qr/_handshakes_total\{.*"ticket"\} 1$/m,
	'which are among them');

###############################################################################

# The text of each alert.

sub alerts {
	my ($file) = @_;

	my (undef, @alerts) = split /^\s+- alert: /m, content($file);

	return map { /^(\w+)\n(.*)/s } @alerts;
}

sub metrics_checked {
	my ($t) = @_;

	my ($metrics) = http_get('/status?format=prometheus')
		=~ /\r\n\r\n(.*)/s;

	$t->write_file('metrics', $metrics);

	return promtool('check', 'metrics', '<' . $t->testdir() . '/metrics');
}

# What it has to say against something.

sub promtool {
	my $said = `promtool @_ 2>&1`;

	return $? ? "exit code $?: $said" : '';
}

sub content {
	my ($file) = @_;

	open my $f, '<', $file or die "Can't open $file: $!\n";
	local $/;

	return scalar <$f>;
}

###############################################################################
