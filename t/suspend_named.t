#!/usr/bin/perl

# Handshakes wait in the way of the default server of their socket, before anybody has
# looked at the name that the client asks for.  A server behind it that says another way
# is told that this has no effect, and is not named among those that wait so.  Its
# sessions resume all the same.

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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  default;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=DEFAULT;

        location / {
            return 200 "default $ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8443 ssl;
        # MORE
        server_name  named;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=NAMED;

        location / {
            return 200 "named $ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', ways('hello', 'auto'))->plan(12)->run();

my $other = SSLSessionCache::Nginx->new($t, 'other', ways('auto', 'hello') =~ s/8443/8444/gr);
my $both = SSLSessionCache::Nginx->new($t, 'both', ways('hello', 'auto') =~ s/8443/8445/gr
	=~ s/# MORE/listen 127.0.0.1:8446 ssl;/r);

###############################################################################

my $hello = qr/\(suspend=hello\), as configured/;
my $auto = qr/(?:\(suspend=\w+\), the best way|\(suspend=\w+\), as suspend=retry .*)/;

said($t->read_file('error.log'), qr/handshakes are suspended with .*$hello/, 'hello and auto');
said($other->error_log(), qr/handshakes are suspended with .*$auto/, 'auto and hello');

# it is the default server of another socket

my @said = $both->error_log() =~ /\[notice\].*: handshakes (.* suspended with .*)/g;

is(@said, 2, 'default server of another socket, both are used');
like($said[1], qr/^of server "named" .* with .*$auto$/, 'default server of another socket');

is(my @warnings = (check_config($t, ways('auto', 'auto')))[0] =~ /has no effect/g, 0,
	'the same way');
like((check_config($t, ways('auto', 'hello')))[0],
	qr/\[warn\].*"remote_ssl_session_cache" of server "named" .* has no effect on 127/,
	'another way');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach ([ 8443, 8444 ], [ 8444, 8443 ]) {
		my ($from, $to) = @$_;

		my $r = tls_get($from, version => $version, sni => 'named');
		$redis->wait_id(session_id($r->{session}));

		is(tls_get($to, version => $version, sni => 'named', session => $r->{session})
			->{body}, 'named r', "$version, resumed from $from on $to");
	}
}

###############################################################################

# The configuration with these ways.

sub ways {
	my ($default, $named) = @_;

	return $config =~ s/DEFAULT/$default/r =~ s/NAMED/$named/r;
}

# There is one line of the way, and there is a warning of the other.

sub said {
	my ($log, $line, $name) = @_;

	my @said = $log =~ /\[notice\].*: (handshakes .* suspended with .*)/g;

	is(@said, 1, "$name, one line");
	like($said[0], qr/^$line$/, "$name, that of the default server");
}

###############################################################################
