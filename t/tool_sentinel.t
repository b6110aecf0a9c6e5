#!/usr/bin/perl

# A store behind Sentinels: "check" says what each of them says, and looks at the
# master; "count" asks that one.  Otherwise it is not seen that one Sentinel is cut
# off, or that there is nothing to fail over to.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('redis-server')->has_daemon('openssl')->plan(19);
my $dir = $t->testdir();
my $group = SSLSessionCache::RedisSentinel->new($t, password => 'sesame',
	sentinel_password => 'open', user => 'on >secret ~sslsessioncache:* -@all'
	. ' +get +setex +del +ping +set');

certificate($t, 'localhost');
private_file($t, 'store.password', 'sesame');
private_file($t, 'sentinel.password', 'open');
private_file($t, 'secret', 'secret');
configure($t, 'mymaster', 'auth_file store.password;');

###############################################################################

my $r = run('check');
my $master = $group->master();

is($r->{status}, 0, 'checked') or diag($r->{out}, $r->{err});
is(() = $r->{out} =~ /^  ok       says that mymaster is at 127\.0\.0\.1:$master->{port}$/mg, 3,
	'each Sentinel');
is(() = $r->{out} =~ /^  ok       knows 2 other Sentinels and 1 replicas, quorum 2/mg, 3,
	'what they know');
like($r->{out}, qr/^  ok       3 of 3 Sentinels name the same master$/m, 'they agree');
like($r->{out}, qr/^server 127\.0\.0\.1:$master->{port}, the master$/m, 'the master');
like($r->{out}, qr/^  ok       it is a master$/m, 'its role');
like($r->{out}, qr/^  warning  save "", appendonly no: a master that restarts .*\n *-> /m,
	'no persistence is warned of');
unlike($r->{out}, qr/sesame|open\b/, 'no password');

$master->put('sslsessioncache:' . '00' x 32, 'x');
$r = run('count');
is($r->{status}, 0, 'counted');
like($r->{out}, qr/^127\.0\.0\.1:$master->{port}: 1 sessions, /m, 'at the master');

# ROLE is needed

configure($t, 'mymaster', 'user nginx; auth_file secret;');
$r = run('check');
is($r->{status}, 1, 'no +role');
like($r->{out}, qr/^  failure  ROLE: NOPERM .*\n *-> give the user the right, \+role/m, 'told');
configure($t, 'mymaster', 'auth_file store.password;');

# one Sentinel is lost

$group->kill9(($group->sentinels())[0]);
$r = run('check');
is($r->{status}, 1, 'a Sentinel is lost');
like($r->{out}, qr/^Sentinel .*\n  failure  connection refused\n *-> it is of no use/m, 'told');
like($r->{out}, qr/^  ok       2 of 3 Sentinels name the same master$/m, 'the others');
is(run('count')->{status}, 0, 'which are enough');

configure($t, 'nomaster', 'auth_file store.password;');
$r = run('check');
is($r->{status}, 1, 'no such master');
like($r->{out}, qr/^  failure  it knows no master "nomaster"\n *-> /m, 'told by each');
like($r->{out}, qr/^  failure  none of the servers says where .*\n *-> nginx keeps no sessions/m,
	'and what that means');

###############################################################################

sub configure {
	my ($t, $name, $login) = @_;

	$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store fleet {
    sentinel            $name;
    server              127.0.0.1:%%PORT_8361%%;
    server              127.0.0.1:%%PORT_8362%%;
    server              127.0.0.1:%%PORT_8363%%;
    sentinel_auth_file  sentinel.password;
    $login
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
}

sub run {
	my ($command, @options) = @_;

	return tool($command, @options, '-c', 'nginx.conf', '-p', "$dir/",
		'--nginx', $ENV{TEST_NGINX_BINARY});
}

###############################################################################
