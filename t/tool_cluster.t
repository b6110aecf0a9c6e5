#!/usr/bin/perl

# A Redis Cluster: "check" looks at each master and at the map, "count", "list" and
# "flush" at each master, and "show" and "revoke" at the one that has the slot.
# Otherwise two thirds of the sessions are overlooked, or counted twice.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::RedisCluster;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('redis-server')->has_daemon('openssl')->plan(24);
my $dir = $t->testdir();
my $cluster = SSLSessionCache::RedisCluster->new($t, password => 'sesame');

certificate($t, 'localhost');
private_file($t, 'store.password', 'sesame');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store fleet {
    cluster    on;
    server     127.0.0.1:%%PORT_8371%%;
    server     127.0.0.1:%%PORT_8372%%;
    auth_file  store.password;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen  127.0.0.1:8443 ssl;
        remote_ssl_session_cache store=fleet;
    }
}

EOF

###############################################################################

my $r = run('check');

is($r->{status}, 0, 'checked') or diag($r->{out}, $r->{err});
like($r->{out}, qr/^  ok       3 masters serve all 16384 slots$/m, 'the map');
is(() = $r->{out} =~ /^server .*, master of 546\d slots$/mg, 3, 'each master');
is(() = $r->{out} =~ /^  ok       GET, .*DEL, PING, ASKING.* work for keys/mg, 3,
	'commands on each');
is(() = $r->{out} =~ /^  ok       200 lookups took /mg, 3, 'latency of each');
unlike($r->{out}, qr/sesame|replica:/, 'no password, no replica');
is($cluster->count(), 0, 'nothing left behind');

my @ids = map { sprintf '%064x', $_ } 1 .. 300;
$cluster->put("sslsessioncache:$_", 'x' x 200) foreach @ids;
$cluster->wait_replicated();

$r = run('count');

is($r->{status}, 0, 'counted');
is(() = $r->{out} =~ /^127\.0\.0\.1:\d+: [1-9]\d* sessions, /mg, 3, 'each master');
like($r->{out}, qr/^total: 300 sessions, /m, 'each session once');

$r = run('list');
is(() = $r->{out} =~ /^sslsessioncache:[0-9a-f]{64} session - 200$/mg, 300, 'listed');

my $master = $cluster->master_of("sslsessioncache:$ids[0]");

$r = run('show', $ids[0]);
is($r->{status}, 0, 'shown');
like($r->{out}, qr/^127\.0\.0\.1:$master->{port}: found$/m, 'at its master');

$r = run('revoke', $ids[0]);
is($r->{status}, 0, 'revoked');
is($cluster->count(), 299, 'that one');

# a server alone that is in a cluster

$r = tool('check', "port=$master->{port}", "auth_file=$dir/store.password");
is($r->{status}, 1, 'as one server');
like($r->{out}, qr/^  failure  it is a node of a cluster: .*\n *-> use a block/m, 'told');

$r = run('flush', '--yes');
is($r->{status}, 0, 'flushed');
like($r->{out}, qr/^total: 299 deleted$/m, 'all');
is($cluster->count(), 0, 'everywhere');

# slots that nobody has

$_->command('CLUSTER', 'DELSLOTSRANGE', 100, 199) foreach $cluster->nodes();
$r = run('check');
is($r->{status}, 1, 'slots without a master');
like($r->{out}, qr/^  failure  100 of 16384 slots have no master .*\n *-> /m, 'told');

$cluster->kill9($_) foreach $cluster->nodes();
$r = run('count');
is($r->{status}, 1, 'nobody answers');
like($r->{err}, qr/store fleet: none of the servers says .*connection refused/, 'told');

###############################################################################

sub run {
	my ($command, @options) = @_;

	return tool($command, @options, '-c', 'nginx.conf', '-p', "$dir/",
		'--nginx', $ENV{TEST_NGINX_BINARY});
}

###############################################################################
