#!/usr/bin/perl

# A fatal alert takes the session of its connection out of the store, in http{},
# stream{} and mail{} alike (RFC 5246, section 7.2.2); that a client of http{} or
# mail{} just goes does not (for stream{} see stream_close.t).  Otherwise one lives
# on that has been attacked, or many vanish whose clients are in a hurry.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()
	->has(qw/http http_ssl stream stream_ssl mail mail_ssl socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:8080;
        server_name  localhost;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
    }
}

stream {
    server {
        listen      127.0.0.1:8444 ssl;
        proxy_pass  127.0.0.1:8080;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
    }
}

mail {
    auth_http  127.0.0.1:8080/auth;

    server {
        listen    127.0.0.1:8445 ssl;
        protocol  imap;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(14)->run();

###############################################################################

my %ports = (http => 8443, stream => 8444, mail => 8445);
my $count = 10;

foreach my $name (sort keys %ports) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		$redis->forget_calls();
		silent($redis, $name, $version) unless $name eq 'stream';

		my $client = tls_hello($ports{$name}, version => $version)->handshake();
		$client->read() if $name eq 'mail';
		syswrite $client->socket(), "\x17\x03\x03\x00\x20" . 'x' x 32;
		1 while length(eval { $client->read() } // '');

		is($redis->wait_calls('delete', 1), 1, "$name, $version, fatal alert");
	}
}

###############################################################################

sub silent {
	my ($redis, $name, $version) = @_;

	my @made = map { visit($redis, $ports{$name}, version => $version) } 1 .. $count;
	my @again = map { visit($redis, $ports{$name}, version => $version,
		session => $_->{session}) } @made;

	is(grep({ $_->{reused} } @again), $count, "$name, $version, resumed");
	is($redis->calls('delete'), 0, "$name, $version, none deleted");
}

# Reads all that the server has to say, and closes without a close_notify.

sub visit {
	my ($redis, $port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();

	$client->read() if $port == 8445;
	$client->write($port == 8445 ? "a LOGOUT\r\n" : "GET / HTTP/1.0\r\n\r\n");
	1 while length $client->read();

	my $session = $client->session();
	$redis->wait_id(session_id($session));

	return { reused => $client->reused(), session => $session };
}

###############################################################################
