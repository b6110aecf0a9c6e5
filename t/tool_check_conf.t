#!/usr/bin/perl

# "check -c" finds the stores in the configuration of nginx: those of http, stream and
# mail, with what servers inherit, in files that are included, as blocks and their
# fallbacks; each is checked once.  Otherwise an operator types the words once more,
# and checks what nginx does not use.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl stream stream_ssl socket_ssl/)
	->has_daemon('redis-server')->has_daemon('openssl')->plan(31);
my $dir = $t->testdir();
my @stores = map { SSLSessionCache::Redis->new($t, port => $_,
	password => "sesame $_") } 8379 .. 8381;

seal_key($t, 'cache.key');
certificate($t, 'localhost');
private_file($t, "store$_", "sesame $_\n") foreach 8379 .. 8381;
mkdir "$dir/sites";

$t->write_file_expand('sites/a.conf', <<'EOF');
server {
    listen 127.0.0.1:8443 ssl;  # inherits all
}
EOF
$t->write_file_expand('sites/b.conf', <<'EOF');
server {
    listen 127.0.0.1:8444 ssl;
    remote_ssl_session_cache off;
}
server {
    listen 127.0.0.1:8445 ssl;
    remote_ssl_session_cache prefix=second:;
}
EOF
$t->write_file('sites/none', 'this is no configuration;');
$t->write_file_expand('stores.conf', <<'EOF');
remote_ssl_session_store far {
    server     127.0.0.1:%%PORT_8380%%;
    auth_file  store8380;
}
remote_ssl_session_store near {
    server     127.0.0.1:%%PORT_8379%%;
    auth_file  "store8379";
    fallback   far;
}
EOF
$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

include stores.conf;

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_early_data      on;

    remote_ssl_session_cache on store=near key=cache.key;

    include sites/*.conf;
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen 127.0.0.1:8446 ssl;
        return "";
        remote_ssl_session_cache port=%%PORT_8381%% 'auth=sesame 8381'
            key=cache.key;
    }
}

EOF

###############################################################################

my $r = check();

is($r->{status}, 0, 'checked') or diag($r->{out}, $r->{err});

my @titles = $r->{out} =~ /^(store .*)/mg;

is(@titles, 3, 'each store once') or diag("@titles");
like($titles[0], qr{^store near \(redis\), used at \S+nginx\.conf:\d+, \S+/sites/b\.conf:7$},
	'the block');
like($titles[1], qr/^store 127\.0\.0\.1:$stores[2]{port} \(redis\)/, 'the one of stream');
like($titles[2], qr/^store far \(redis\)/, 'the fallback');
like($r->{out}, qr/SETEX, DEL, PING work for keys under "second:"/, 'inherited');
like($r->{out}, qr/^  ok       GET, PING work for keys under "sslsessioncache:"/m,
	'the fallback is only read');
like($r->{out}, qr/^  ok       "\Q$dir\E\/cache\.key" has key/m, 'key file');
unlike($r->{out} . $r->{err}, qr/sesame/, 'no password');

$stores[1]->stop();
$r = check();

is($r->{status}, 1, 'fallback is down');
like($r->{out}, qr/store far.*\n.*\n  failure  .*connection refused/, 'told');

$r = check('--store', 'near');

is($r->{status}, 0, 'the other store');
unlike($r->{out}, qr/^store (?!near)/m, 'alone');

$r = check('--store', 'nowhere');

is($r->{status}, 2, 'no such store');
like($r->{err}, qr/no store is called "nowhere", expected one of: .*far, near$/, 'told');

# counts, with the name of each store

$stores[0]->put("sslsessioncache:$_" . '0' x 30, 'x') foreach 10 .. 12;
$stores[0]->put('second:' . '0' x 32, 'x');
$r = run('count', '--store', 'near');

is($r->{status}, 0, 'counted');
like($r->{out}, qr/^store near, 127\.0\.0\.1:\d+, "sslsessioncache:": 3 sessions, /m,
	'of a prefix');
like($r->{out}, qr/^store near, 127\.0\.0\.1:\d+, "second:": 1 sessions, /m,
	'of the other prefix');
like($r->{out}, qr/^total: 4 sessions, /m, 'all');

# a prefix that is relative, and a line as of a dump in a file

$t->write_file('stores.conf', "# configuration file $dir/none.conf:\n"
	. $t->read_file('stores.conf'));
$r = tool({ dir => "$dir/sites" }, 'check', '-c', 'nginx.conf', '-p', '..',
	'--nginx', $ENV{TEST_NGINX_BINARY}, '--store', 'near');

is($r->{status}, 0, 'relative prefix') or diag($r->{out}, $r->{err});
like($r->{out}, qr{^store near .*/sites/b\.conf:7$}m, 'all files are read');

# what cannot be read

$t->write_file('stores.conf', 'remote_ssl_session_store near { }');
$r = check();

is($r->{status}, 2, 'what nginx refuses');
like($r->{err}, qr/no parameter "server".*\n(?:.*\n)*ssl-session-cache: .* refuses the configuration$/,
	'is told by nginx');

$r = tool('check', '-c', 'nginx.conf', '--nginx', '/no/nginx');
is($r->{status}, 2, 'no nginx');
like($r->{err}, qr/cannot run "\/no\/nginx": .*; --nginx says where it is/, 'told');

$r = tool('check', '-c', 'nginx.conf', 'port=1');
is($r->{status}, 2, 'words and a configuration');
like($r->{err}, qr/unexpected words next to -c/, 'told');

$r = tool('check');
is($r->{status}, 2, 'nothing');
like($r->{err}, qr/expected the words of "remote_ssl_session_cache"/, 'told');

$r = tool('check', '--help');
is($r->{status}, 0, 'help');
like($r->{out}, qr/Exit status: 0 .*Examples:/s, 'tells all');

###############################################################################

sub check {
	return run('check', @_);
}

sub run {
	my ($command, @options) = @_;

	return tool($command, '-c', 'nginx.conf', '-p', "$dir/",
		'--nginx', $ENV{TEST_NGINX_BINARY}, @options);
}

###############################################################################
