package SSLSessionCache::Frontends;

# What tests of http{}, stream{} and mail{} together begin with: one nginx with a
# server in each, and clients of these.  Ports are 8443, 8444 and 8445.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Test::Nginx;

use SSLSessionCache::Store;
use SSLSessionCache::TLS;

our @EXPORT = qw/ frontends greeted visit /;

my %ports = (http => 8443, stream => 8444, mail => 8445);

###############################################################################

# Options: type, of the store, which is on port 8379.  Returns the store.  The
# status page is /status on port 8080.

sub frontends {
	my ($t, %opts) = @_;

	$t->has(qw/http http_ssl stream stream_ssl mail mail_ssl socket_ssl/)
		->has_daemon('openssl');

	my $store = store($t);
	certificate($t, 'localhost');

	my $server = <<"EOF";
        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache type=$opts{type} port=%%PORT_8379%%
                                 interval=1m timeout=10s;
EOF

	$t->write_file_expand('nginx.conf', store_config(<<"EOF"))->run();

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:$ports{http} ssl;
        listen       127.0.0.1:8080;
        server_name  localhost;
$server
        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

stream {
    server {
        listen      127.0.0.1:$ports{stream} ssl;
        proxy_pass  127.0.0.1:8080;
$server
    }
}

mail {
    auth_http  127.0.0.1:8080/auth;

    server {
        listen    127.0.0.1:$ports{mail} ssl;
        protocol  imap;
$server
    }
}

EOF

	return $store;
}

###############################################################################

# A client of one of them by name, which may speak now.  Options as of tls_get().

sub greeted {
	my ($name, %opts) = @_;

	my $client = tls_hello($ports{$name}, %opts)->handshake();
	$client->read() if $name eq 'mail';

	return $client;
}

# One that reads all that the server has to say, and goes without a close_notify.
# A hash: reused, session, which is in the store.

sub visit {
	my ($store, $name, %opts) = @_;

	my $client = greeted($name, %opts);

	$client->write($name eq 'mail' ? "a LOGOUT\r\n" : "GET / HTTP/1.0\r\n\r\n");
	1 while length $client->read();

	my $session = $client->session();
	$store->wait_id(session_id($session));

	return { reused => $client->reused(), session => $session };
}

###############################################################################

1;

###############################################################################
