#!/usr/bin/perl

# Sessions are shared through a store that is spoken to with TLS, which must
# prove to be the one that is meant.  A store that does not, or that refuses
# nginx's certificate, is a store that is down: full handshakes, and one line
# in the log with the reason.  Otherwise who sits between nginx and the store
# gets all sessions and the password, or a certificate that has expired takes
# the site down with it.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use IO::Socket::INET;
use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Memcached;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('memcached');

my $server = <<'EOF';

    server {
        listen       127.0.0.1:PORT ssl;
        server_name  localhost;

        remote_ssl_session_cache timeout=5s PARAMETERS;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
EOF

# redis with TLS at 8381, one that wants certificates at 8383, one whose own
# certificate has expired at 8385; memcached with TLS at 8386

my @good = (
	[ 'name', 'port=%%PORT_8381%% tls=on tls_ca=ca.crt '
		. 'tls_name=redis.example' ],
	[ 'name, full', 'port=%%PORT_8381%% tls=on tls_ca=ca.crt '
		. 'tls_name=Redis.example.' ],
	[ 'address', 'port=%%PORT_8381%% tls=on tls_ca=%%TESTDIR%%/ca.crt' ],
	[ 'name of addr', 'addr=localhost port=%%PORT_8381%% tls=on '
		. 'tls_ca=ca.crt' ],
	[ 'client certificate', 'port=%%PORT_8383%% tls=on tls_ca=ca.crt '
		. 'tls_cert=nginx.crt tls_key=nginx.key' ],
	[ 'not verified', 'port=%%PORT_8385%% tls=on tls_verify=off' ],
	[ 'memcached', 'type=memcached port=%%PORT_8386%% tls=on '
		. 'tls_ca=ca.crt' ],
	[ 'CAs of the system', 'port=%%PORT_8381%% tls=on' ],
);

my @bad = (
	[ 'wrong CA', 'port=%%PORT_8381%% tls=on tls_ca=other.crt',
		qr/TLS handshake failed: self.signed certificate in certificate chain/ ],
	[ 'wrong name', 'port=%%PORT_8381%% tls=on tls_ca=ca.crt '
		. 'tls_name=sub.redis.example',
		qr/TLS handshake failed: hostname mismatch/ ],
	[ 'wrong address', 'port=%%PORT_8381%% tls=on tls_ca=ca.crt '
		. 'tls_name=127.0.0.2',
		qr/TLS handshake failed: IP address mismatch/ ],
	[ 'expired', 'port=%%PORT_8385%% tls=on tls_ca=ca.crt',
		qr/TLS handshake failed: certificate has expired/ ],
	[ 'no client certificate', 'port=%%PORT_8383%% tls=on tls_ca=ca.crt',
		qr/SSL_read\(\) failed .*alert certificate required/ ],
	[ 'wrong client certificate', 'port=%%PORT_8383%% tls=on '
		. 'tls_ca=ca.crt tls_cert=foreign.crt tls_key=foreign.key',
		qr/SSL_read\(\) failed .*alert unknown ca/ ],
	[ 'store without TLS', 'port=%%PORT_8380%% tls=on tls_ca=ca.crt',
		qr/TLS handshake (?:failed: (?:peer closed|.* wrong version)|timed out)/ ],
	[ 'store with TLS', 'port=%%PORT_8381%%', qr/connection was closed|recv\(\) failed/ ],
	[ 'memcached, wrong name', 'type=memcached port=%%PORT_8386%% tls=on '
		. 'tls_ca=ca.crt tls_name=redis',
		qr/TLS handshake failed: hostname mismatch/ ],
	[ 'store that hangs up', 'port=%%PORT_8387%% tls=on tls_name=sni.example',
		qr/TLS handshake failed: peer closed connection/ ],
);

my $port = 8443;
my $servers = join '', map { $server =~ s/PORT/$port++/er
	=~ s/PARAMETERS/$_->[1]/r } @good, @bad;

my $config = <<'EOF' =~ s/SERVERS/$servers/r;

GLOBALS

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
SERVERS
}

EOF

certificate($t, 'localhost');

SSLSessionCache::Authority->new($t, 'ca')
	->issue('redis', names => 'DNS:redis.example,DNS:localhost,IP:127.0.0.1')
	->issue('expired', names => 'IP:127.0.0.1', days => -1)
	->issue('nginx');
SSLSessionCache::Authority->new($t, 'other')->issue('foreign');

my $dir = $t->testdir();
my $redis = redis($t, 8380, 'redis', '--tls-auth-clients', 'no');
my $strict = redis($t, 8382, 'redis', '--tls-auth-clients', 'yes');
my $expired = redis($t, 8384, 'expired', '--tls-auth-clients', 'no');
SSLSessionCache::Memcached->new($t, port => 8386, args => [
	'-Z', '-o', "ssl_chain_cert=$dir/redis.crt,ssl_key=$dir/redis.key" ]);

my $listener = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1:' . port(8387), Listen => 128, ReuseAddr => 1)
	or die "Can't listen: $!\n";
$t->write_file('hello', '');
$t->run_daemon(sub {
	while (my $socket = $listener->accept()) {
		sysread $socket, my $hello, 16384;
		$t->write_file('hello', $hello);
	}
});

# where OpenSSL looks for the CAs of the system

$ENV{SSL_CERT_FILE} = "$dir/ca.crt";

$t->write_file_expand('nginx.conf', $config =~ s/GLOBALS/%%TEST_GLOBALS%%/r)
	->plan(4 * @good + 2 * @bad + 6)->run();

# without the debug log, which has nginx's own messages as well

my $other = SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/127\.0\.0\.1:84/127.0.0.1:85/gr =~ s/GLOBALS/
		"$ENV{TEST_NGINX_GLOBALS}
		pid $dir\/other.pid;
		error_log $dir\/other.log info;"/er);

###############################################################################

# all connect at once: what is possible is done when this one resumes

wait_until(sub { offer(8543, full('TLSv1.3', 8443)) eq 1 });

$port = 8443 + @good;

foreach my $case (@bad) {
	my ($name) = @$case;

	my @got = map { offer($port + 100, full('TLSv1.2', $port)) } 1 .. 5;
	is(join(' ', @got), '0 0 0 0 0', "$name, full handshakes");

	$port++;
}

$port = 8443;

foreach my $case (@good) {
	my ($name) = @$case;

	wait_until(sub { offer($port + 100, full('TLSv1.3', $port)) eq 1 });

	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my @made = map { full($version, $port) } 1 .. 5;
		my @offered = map { offer($port + 100, $_) } @made;

		is(join(' ', @offered), '1 1 1 1 1', "$name, $version, resumed");
	}

	# a connection that is lost is made again

	$_->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
		foreach $redis, $strict, $expired;

	ok(wait_until(sub { offer($port + 100, full('TLSv1.3', $port)) eq 1 }),
		"$name, connected again");
	ok(wait_until(sub { offer($port, full('TLSv1.3', $port + 100)) eq 1 }),
		"$name, both ways");

	$port++;
}

# many attempts, and one line of each store

my ($log, @down);

wait_until(sub {
	$log = $other->error_log();
	@down = grep { / is down: / } split /\n/, $log;
	return @down >= @bad;
});

foreach my $case (@bad) {
	my ($name, undef, $reason) = @$case;

	ok(grep({ /$reason/ } @down), "$name, reason")
		or diag(join "\n", grep { !/was closed/ } @down);
}

is(grep({ !/TLS handshake|SSL_|the connection was closed|recv\(\)/ } @down),
	0, 'nothing else is down');
is(grep({ /TLS handshake|certificate required|unknown ca/ } @down),
	@bad - 1, 'told once of each');
unlike($log, qr/^(?!.*sslsessioncache: ).*(?:SSL_|connect\(\)|recv\(\))/m,
	'nothing of each attempt');

ok(wait_until(sub { $t->read_file('hello') =~ /sni\.example/ }), 'name is sent');

# TLS 1.2 to the store

foreach ($redis, $strict) {
	$_->command('CONFIG', 'SET', 'tls-protocols', 'TLSv1.2');
	$_->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
}

ok(wait_until(sub { offer(8543, full('TLSv1.3', 8443)) eq 1 }),
	'TLS 1.2 to the store');
ok(wait_until(sub { offer(8547, full('TLSv1.3', 8447)) eq 1 }),
	'TLS 1.2 to the store, client certificate');

###############################################################################

# With TLS at the next port.

sub redis {
	my ($t, $port, $cert, @args) = @_;

	my $dir = $t->testdir();

	return SSLSessionCache::Redis->new($t, port => $port, args => [
		'--tls-port', port($port + 1),
		'--tls-cert-file', "$dir/$cert.crt",
		'--tls-key-file', "$dir/$cert.key",
		'--tls-ca-cert-file', "$dir/ca.crt",
		@args,
	]);
}

sub full {
	my ($version, $port) = @_;

	return tls_get($port, version => $version);
}

# A session is stored when the handshake is over: the client may know first.

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused} // 'failed';
}

###############################################################################
