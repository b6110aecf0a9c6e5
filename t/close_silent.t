#!/usr/bin/perl

# A session is kept where its client goes without a word: in stream{} and mail{}
# nginx waits for the client's close_notify, and OpenSSL drops the session where
# the end of the connection comes in its place.  Many clients close so, and would
# never resume.  After a fatal alert it goes, as ever.

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

$t->plan(18)->run();

###############################################################################

my %ports = (http => 8443, stream => 8444, mail => 8445);
my $count = 20;

foreach my $name (sort keys %ports) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		$redis->forget_calls();

		my @made = map { visit($ports{$name}, version => $version) } 1 .. $count;
		my @again = map { visit($ports{$name}, version => $version,
			session => $_->{session}) } @made;

		is(grep({ $_->{reused} } @again), $count, "$name, $version, resumed");
		is($redis->calls('delete'), 0, "$name, $version, none deleted");

		my $client = tls_hello($ports{$name}, version => $version)->handshake();
		$client->read() if $name eq 'mail';
		syswrite $client->socket(), "\x17\x03\x03\x00\x20" . 'x' x 32;
		1 while length(eval { $client->read() } // '');

		is($redis->wait_calls('delete', 1), 1, "$name, $version, fatal alert");
	}
}

###############################################################################

# Reads all that the server has to say, and closes without a close_notify.

sub visit {
	my ($port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();

	$client->read() if $port == 8445;
	$client->write($port == 8445 ? "a LOGOUT\r\n" : "GET / HTTP/1.0\r\n\r\n");
	1 while length $client->read();

	my $session = $client->session();
	$redis->wait_id(session_id($session));

	return { reused => $client->reused(), session => $session };
}

###############################################################################
