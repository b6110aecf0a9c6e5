#!/usr/bin/perl

# A server takes each parameter that it does not say itself from http{}, or from
# stream{}, wherever the directive stands there; and is told where its own has no
# effect, because another server is the default one of the socket.  Without it
# sessions would land where nobody asked for them, in clear.

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

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl stream stream_ssl socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my %servers = (
	8443 => '',
	8444 => 'remote_ssl_session_cache off;',
	8445 => 'remote_ssl_session_cache port=%%PORT_8380%%;',
	8446 => 'remote_ssl_session_cache timeout=100s;',
	8447 => 'remote_ssl_session_cache on;',
	8448 => 'remote_ssl_session_cache store=other;',
	8449 => 'remote_ssl_session_cache key=own.key;',
	8450 => 'remote_ssl_session_cache prefix=own:;',
	8451 => 'remote_ssl_session_cache auth_file=password port=%%PORT_8380%%;',
);

my $servers = join '', map { <<"EOF" } sort keys %servers;
    server {
        listen       127.0.0.1:$_ ssl;
        $servers{$_}
    }
EOF

my $stream = $servers =~ s/127.0.0.1:(\d+)/'127.0.0.1:' . ($1 + 20)/ger
	=~ s/^    }/        return "";\n    }/mgr;

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store other {
    server     127.0.0.1:%%PORT_8380%%;
    auth_file  password;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

$servers
    remote_ssl_session_cache addr=127.0.0.1 port=%%PORT_8379%% key=cache.key
                             auth=secret;
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    remote_ssl_session_cache addr=127.0.0.1 port=%%PORT_8379%% key=cache.key
                             auth=secret;

$stream
}

EOF

my $levels = <<'EOF';

%%TEST_GLOBALS%%

events {
}

remote_ssl_session_store fleet {
    server 127.0.0.1;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache OUTER;

    server {
        listen       127.0.0.1:8443 ssl;
        remote_ssl_session_cache
            INNER;
    }

    server {
        listen       127.0.0.1:8444 ssl;
        remote_ssl_session_cache
            SECOND;
    }
}

EOF

my $check = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  first;
        FIRST
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  second;
        SECOND
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t, password => 'secret');
my $another = SSLSessionCache::Redis->new($t, port => 8380, password => 'secret');
certificate($t, 'localhost');
private_file($t, 'password', 'secret');
my %keys = map { $_ => seal_key($t, "$_.key") } 'cache', 'own';

$t->plan(64)->run();

###############################################################################

# where the record is, what it is called, and the key that it is sealed with

foreach my $stream (0, 1) {
	my $name = $stream ? 'stream' : 'http';
	my $port = 8443 + 20 * $stream;

	is(made($port), 'first sslsessioncache: cache', "$name, inherited");
	is(made($port + 1), '', "$name, switched off");
	is(made($port + 2), 'second sslsessioncache: cache', "$name, its own port");
	is(made($port + 3), 'first sslsessioncache: cache', "$name, its own timeout");
	is(made($port + 4), 'first sslsessioncache: cache', "$name, on alone");
	is(made($port + 5), 'second sslsessioncache: cache', "$name, a block");
	is(made($port + 6), 'first sslsessioncache: own', "$name, its own key");
	is(made($port + 7), 'first own: cache', "$name, its own prefix");
	is(made($port + 8), 'second sslsessioncache: cache', "$name, its own password");
}

# what the levels come to is checked, and told of at the inner one

wrong($t, 'addr=127.0.0.1 key=cache.key', 'user=a',
	qr/parameter "user", expected "auth" or "auth_file" with it/);
wrong($t, 'addr=unix:/s', 'port=1', qr/"port", expected none with a unix socket/);
wrong($t, 'type=memcached', 'db=1', qr/"db", expected none where type is memcached/);
wrong($t, 'tls=off', 'tls_ca=f', qr/"tls_ca", expected "tls" set to on with it/);
wrong($t, 'store=fleet', 'timeout=1s', qr/"timeout", expected none without "addr="/);
wrong($t, 'key=missing.key', 'timeout=1s', qr/missing\.key/);
wrong($t, 'on', 'store=nowhere', qr/unknown store "nowhere"/);
wrong($t, 'auth=a auth_file=b', 'timeout=1s',
	qr/"auth_file", expected none next to "auth"/, 'outer');

right($t, 'key=missing.key auth_file=missing', 'off', 'not used, not opened');
right($t, 'key=missing.key auth_file=missing', 'key=cache.key auth=a',
	'said again, not opened');
right($t, 'user=a tls_ca=ca', 'off', 'what is not used may lack something');
right($t, 'key=cache.key tls=on tls_ca=missing tls_name=a', 'tls=off',
	'not inherited, not opened');

# a warning about a file comes once, however many use it

chmod 0644, $t->testdir() . "/$_" foreach 'cache.key', 'password';
my ($output) = check_config($t, levels('key=cache.key auth_file=password',
	'timeout=100ms', 'timeout=200ms'));
is(() = $output =~ /cache\.key" is open to others/g, 1, 'key file, one warning');
is(() = $output =~ /password" of parameter/g, 1, 'password file, one warning');

my $on = 'remote_ssl_session_cache on;';
my $off = 'remote_ssl_session_cache off;';
my $port = 'remote_ssl_session_cache port=6380;';

warns($t, '', '', 0, 'nowhere');
warns($t, $on, $on, 0, 'the same');
warns($t, $on, 'remote_ssl_session_cache port=6379;', 0, 'the same in other words');
warns($t, '', $off, 0, 'off and absent');
warns($t, $on, $off, 1, 'off in another server');
warns($t, $on, '', 1, 'absent in another server');
warns($t, $off, $on, 1, 'on in another server only');
warns($t, $on, $port, 1, 'another store');

###############################################################################

sub made {
	my ($port) = @_;

	$_->clear() foreach $redis, $another;

	my $r = tls_get($port, version => 'TLSv1.2');
	my $id = session_id($r->{session});
	my %stores = (first => $redis, second => $another);
	my @found;

	foreach my $name (sort keys %stores) {
		foreach my $record ($stores{$name}->keys()) {
			my ($prefix, $hex) = $record =~ /^(\w+:)(\w+)$/;
			my ($key) = grep { unpack('H*', seal_name($keys{$_}, $id)) eq $hex }
				sort keys %keys;
			push @found, "$name $prefix " . ($key // 'clear');
		}
	}

	return join ', ', @found;
}

sub levels {
	my ($outer, $inner, $second) = @_;

	return $levels =~ s/OUTER/$outer/r =~ s/INNER/$inner/r =~ s/SECOND/$second/r;
}

sub wrong {
	my ($t, $outer, $inner, $expected, $place) = @_;

	my ($output, $code) = check_config($t, levels($outer, $inner, 'off'));
	my ($message) = $output =~ /(\[emerg\].*)/;

	is($code, 1, "$outer, $inner: refused");
	like($message, qr/$expected.* in \S+check\.conf:(\d+)$/, "$outer, $inner: message");

	my ($line) = $message =~ /(\d+)$/;
	my @lines = split /\n/, $t->read_file('check.conf');
	my $said = ($place // '') eq 'outer' ? $outer : $inner;

	like($lines[$line - 1], qr/\Q$said\E;/, "$outer, $inner: place");
}

sub right {
	my ($t, $outer, $inner, $name) = @_;

	my ($output, $code) = check_config($t, levels($outer, $inner, 'off'));

	is($code, 0, $name) or diag($output);
}

sub warns {
	my ($t, $first, $second, $expected, $name) = @_;

	my ($output, $code) = check_config($t,
		$check =~ s/FIRST/$first/r =~ s/SECOND/$second/r);
	my @warnings = $output =~ /\[warn\].*has no effect.*/g;

	is($code, 0, "$name, valid");
	is(@warnings, $expected, "$name, warnings");
}

###############################################################################
