package SSLSessionCache::Pair;

# What most tests begin with: a store, a certificate, and nginx on two machines,
# or on one.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;

our @EXPORT = qw/ config pair single /;

###############################################################################

# Two instances with one configuration, on the ports 8443 and 8444.  Options:
#
# cache: parameters of remote_ssl_session_cache; port=%%PORT_8379%%, where the
# store is, is added to those that have neither port nor store
# main, events, http, server: lines for these blocks of the configuration; a
# remote_ssl_session_store stands in main
# listen: more parameters of the socket
# quic: the port of HTTP/3, and of the second instance the one after it
# body: what is answered to all that is asked for, "$ssl_session_reused" by default
# store: a store that is there already
#
# Otherwise the store is a Redis, or, where cache has type=%%STORE%%, what
# TEST_NGINX_STORE says.  Returns the store and the second instance.

sub pair {
	my ($t, %opts) = @_;

	my $store = single($t, %opts);
	my $other = SSLSessionCache::Nginx->new($t, 'other',
		config(%opts, port => 8444,
			defined $opts{quic} ? (quic => $opts{quic} + 1) : ()));

	return ($store, $other);
}

# One instance; returns the store.

sub single {
	my ($t, %opts) = @_;

	$t->has(qw/http http_ssl rewrite socket_ssl/)->has_daemon('openssl');

	my $store = $opts{store} // (($opts{cache} // '') =~ /%%STORE%%/
		? store($t) : SSLSessionCache::Redis->new($t));

	certificate($t, 'localhost')
		unless -e $t->testdir() . '/localhost.crt';

	$t->write_file_expand('nginx.conf', config(%opts))->run();

	return $store;
}

# The configuration, for more instances; port as in Test::Nginx::port().

sub config {
	my (%opts) = @_;

	my %part = (
		body => '$ssl_session_reused',
		cache => '',
		events => '',
		http => '',
		listen => '',
		main => '',
		port => 8443,
		server => '',
		%opts,
	);

	$part{server} .= "listen 127.0.0.1:%%PORT_$part{quic}_UDP%% quic;"
		if defined $part{quic};
	$part{cache} .= ' port=%%PORT_8379%%' unless $part{cache} =~ /\b(?:port|store)=/;

	return store_config(<<"EOF");

%%TEST_GLOBALS%%

daemon off;
$part{main}

events {
    $part{events}
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on $part{cache};
    $part{http}

    server {
        listen       127.0.0.1:$part{port} ssl $part{listen};
        server_name  localhost;
        $part{server}

        location / {
            return 200 "$part{body}";
        }
    }
}

EOF
}

###############################################################################

1;

###############################################################################
