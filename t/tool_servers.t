#!/usr/bin/perl

# A store of several servers: "count" asks each, "show" finds a session at the second
# choice as well, "revoke" deletes it on all that it may lie on, the fallback too.
# Otherwise a session that was ended is resumed from where nobody looked.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('redis-server')->has_daemon('openssl')->plan(15);
my @stores = map { SSLSessionCache::Redis->new($t, port => $_) } 8379 .. 8382;
my $dir = $t->testdir();

certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store far {
    server  127.0.0.1:%%PORT_8382%%;
}

remote_ssl_session_store near {
    server    127.0.0.1:%%PORT_8379%%;
    server    127.0.0.1:%%PORT_8380%%;
    server    127.0.0.1:%%PORT_8381%%;
    fallback  far;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen  127.0.0.1:8443 ssl;
        remote_ssl_session_cache store=near;
    }
}

EOF

###############################################################################

my $id = '5a' x 32;
my $key = "sslsessioncache:$id";

$_->put($key, 'x' x 300) foreach @stores;
$stores[0]->put('sslsessioncache:' . '00' x 32, 'x');

my $r = run('count');

is($r->{status}, 0, 'counted');
is(() = $r->{out} =~ /^store near, .*: [12] sessions, /mg, 3, 'each server');
is(() = $r->{out} =~ /^store far, .*: 1 sessions, /mg, 1, 'the fallback');
like($r->{out}, qr/^total: 5 sessions, /m, 'all');

$r = run('show', $id);

is($r->{status}, 0, 'shown');
is(() = $r->{out} =~ /: found$/mg, 3, 'both choices, and the fallback');

my ($first) = $r->{out} =~ /^127\.0\.0\.1:(\d+): found$/m;
my ($server) = grep { $_->{port} == $first } @stores;

$server->stop();
$r = run('revoke', $id);

is($r->{status}, 1, 'the first choice does not answer');
like($r->{err}, qr/^ssl-session-cache: 127\.0\.0\.1:$first: connection refused$/m, 'told');
is(() = $r->{out} =~ /: deleted$/mg, 2, 'the others have it deleted');

$server->start();
$server->put($key, 'x');
$r = run('revoke', $id);

is($r->{status}, 0, 'revoked');
is(() = $r->{out} =~ /: deleted$/mg, 1, 'at the first choice');
is(() = $r->{out} =~ /: nothing there$/mg, 2, 'not at the others');
is(scalar(grep { $_->has_key($key) } @stores), 1, 'a server that never has it is left alone');

$r = run('flush', '--yes');
is($r->{status}, 0, 'flushed');
is(scalar(grep { $_->count() } @stores), 0, 'everywhere');

###############################################################################

sub run {
	my ($command, @options) = @_;

	return tool($command, @options, '-c', 'nginx.conf', '-p', "$dir/",
		'--nginx', $ENV{TEST_NGINX_BINARY});
}

###############################################################################
