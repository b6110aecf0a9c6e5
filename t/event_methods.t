#!/usr/bin/perl

# A handshake that waits for the store costs no processor time, whatever method
# nginx learns of events by, and whatever its client sends in the meantime.
# Otherwise a few such clients take a whole core.

###############################################################################

use warnings;
use strict;

use FindBin;
use POSIX qw/ _SC_CLK_TCK sysconf /;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Link;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
    use epoll;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    remote_ssl_session_cache port=%%PORT_8378%% timeout=5s;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
SSLSessionCache::Link->new($t, delay => 0.5);
certificate($t, 'localhost');

# nginx on Linux has the others only where it was told to build them

my @methods = ('epoll', grep { $t->has_module($_) } 'poll', 'select');

$t->write_file_expand('nginx.conf', $config)->plan(6 * @methods)->run();

my %ports = (epoll => 8443, poll => 8444, select => 8445);
my %masters = (epoll => master($t));

foreach my $method (@methods[1 .. $#methods]) {
	$masters{$method} = SSLSessionCache::Nginx->new($t, $method,
		$config =~ s/8443/$ports{$method}/r =~ s/epoll/$method/r);
}

###############################################################################

my $ccs = "\x14\x03\x03\x00\x01\x01";

foreach my $method (@methods) {
	my ($worker) = workers($masters{$method});

	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my $r = tls_get($ports{$method}, version => $version);
		$redis->wait_id(session_id($r->{session}));

		my $used = processor_time($worker);
		my @waiting = map { tls_hello($ports{$method},
			version => $version, session => $r->{session}) } 1 .. 3;

		select undef, undef, undef, 0.1;
		syswrite $waiting[0]->socket(), $ccs if $version eq 'TLSv1.3';
		syswrite $waiting[1]->socket(), 'x' x 10_000;

		ok($waiting[2]->answered(5), "$version, $method, answered");
		cmp_ok(processor_time($worker) - $used, '<', 0.2,
			"$version, $method, idle while it waits");
		is(eval { $waiting[0]->get('/')->{reused} } // $@, 1,
			"$version, $method, resumed");
	}
}

###############################################################################

# In seconds.

sub processor_time {
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/stat" or die "no process $pid\n";
	my ($user, $system) = (split ' ', <$file> =~ s/.*\) //r)[11, 12];

	return ($user + $system) / sysconf(_SC_CLK_TCK);
}

###############################################################################
