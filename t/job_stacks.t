#!/usr/bin/perl

# A handshake that waits as an OpenSSL job has a stack of its own.  Where OpenSSL
# lets us choose it, since 3.4, nobody may touch the memory below: what needs
# more stack than there is ends the worker, and overwrites nothing.

###############################################################################

use warnings;
use strict;
no warnings 'portable';		# addresses of 64 bits

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF_CONFIG';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    remote_ssl_session_cache port=%%PORT_8378%% timeout=5s suspend=async;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF_CONFIG

my $redis = SSLSessionCache::Redis->new($t);
my $link = SSLSessionCache::Link->new($t, delay => 0.5);
certificate($t, 'localhost');

# without jobs there are no stacks

my $jobs = (check_config($t, $config))[0] !~ /is not possible/;
$config =~ s/ suspend=async/ suspend=hello/ unless $jobs;

my ($major, $minor) = (`$Test::Nginx::NGINX -V 2>&1`
	=~ /OpenSSL (\d+)\.(\d+)/g)[-2, -1];
my $guards = $jobs && ($major > 3 || $major == 3 && $minor >= 4);

$t->write_file_expand('nginx.conf', $config)->plan(9)->run();

###############################################################################

my $worker = worker($t);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	my $lookups = $link->lookups();
	my @waiting = map { tls_hello(8443, version => $version,
		session => $r->{session}) } 1 .. 3;
	$link->wait_lookups($lookups + 3);

	is(guarded_stacks($worker), $guards ? 3 : 0, "$version, guarded stacks");
	is(eval { $_->get('/')->{reused} } // $@, 1, "$version, resumed")
		foreach @waiting;
}

is(guarded_stacks($worker), $guards ? 3 : 0, 'used again');

###############################################################################

# How many parts of a process's memory have others below that nobody may touch,
# and are no part of a file.

sub guarded_stacks {
	my ($pid) = @_;

	my ($count, $guarded) = (0, '');

	open my $maps, '<', "/proc/$pid/maps" or die "no process $pid\n";

	foreach (<$maps>) {
		my ($start, $end, $access, $inode)
			= /^(\w+)-(\w+) (\S+) \S+ \S+ (\d+)/ or next;

		$count++ if $start eq $guarded && $access eq 'rw-p';
		$guarded = $access eq '---p' && !$inode
			&& hex($end) - hex($start) == 64 * 1024 ? $end : '';
	}

	return $count;
}

###############################################################################
