package SSLSessionCache::Stream;

# What most tests of stream{} begin with: nginx on two machines, or on one, that
# ends TLS in front of a service that knows nothing of it, and clients of that.
# The service is a Redis of its own, which gives back what it is sent.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Socket qw/ IPPROTO_TCP TCP_CORK /;
use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

our @EXPORT = qw/
	has_stream log_lines service stream_config stream_get stream_pair
	stream_single stream_talk
/;

###############################################################################

# Two instances with one configuration, on the ports 8443 and 8444.  Options:
#
# cache: parameters of remote_ssl_session_cache; port=%%PORT_8379%%, where the
# store is, is added to those that have neither port nor store
# main, stream, server: lines for these blocks of the configuration
# listen: more parameters of the socket
# body: what is answered to all that connect, who are else passed on to the service
# store: a store that is there already
#
# Otherwise the store is a Redis, or, where cache has type=%%STORE%%, what
# TEST_NGINX_STORE says.  Returns the store and the second instance.

sub stream_pair {
	my ($t, %opts) = @_;

	my $store = stream_single($t, %opts);
	my $other = SSLSessionCache::Nginx->new($t, 'other',
		stream_config(%opts, port => 8444));

	return ($store, $other);
}

# One instance; returns the store.

sub stream_single {
	my ($t, %opts) = @_;

	has_stream($t);

	my $store = $opts{store} // (($opts{cache} // '') =~ /%%STORE%%/
		? store($t) : SSLSessionCache::Redis->new($t));

	service($t) unless defined $opts{body};
	certificate($t, 'localhost')
		unless -e $t->testdir() . '/localhost.crt';

	$t->write_file_expand('nginx.conf', stream_config(%opts))->run();

	return $store;
}

sub has_stream {
	my ($t) = @_;

	return $t->has(qw/stream stream_ssl socket_ssl/)->has_daemon('openssl')
		->has_daemon('redis-server');
}

# On port 8380.

sub service {
	my ($t) = @_;

	return SSLSessionCache::Redis->new($t, port => 8380);
}

# The configuration, for more instances; port as in Test::Nginx::port().  What is
# told of each connection is in the file stream.log, behind the port.

sub stream_config {
	my (%opts) = @_;

	my %part = (
		cache => '',
		listen => '',
		main => '',
		port => 8443,
		server => '',
		stream => '',
		%opts,
	);

	my $content = defined $part{body}
		? "return \"$part{body}\"" : 'proxy_pass 127.0.0.1:8380';

	$part{cache} .= ' port=%%PORT_8379%%' unless $part{cache} =~ /\b(?:port|store)=/;

	return store_config(<<"EOF");

%%TEST_GLOBALS%%

daemon off;
$part{main}

events {
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    log_format  stream  '\$server_port \$pid \$ssl_protocol \$ssl_session_reused '
                        '\$remote_ssl_session_cache_status';
    access_log  %%TESTDIR%%/stream.log stream;

    remote_ssl_session_cache on $part{cache};
    $part{stream}

    server {
        listen  127.0.0.1:$part{port} ssl $part{listen};
        $part{server}
        $content;
    }
}

EOF
}

# The lines of a log of connections, without the port, once there are so many of
# a port: they are written when connections have ended.

sub log_lines {
	my ($t, $port, $count) = @_;

	my @lines;
	$port = port($port);

	wait_until(sub {
		@lines = -e $t->testdir() . '/stream.log'
			? $t->read_file('stream.log') =~ /^$port (.*)$/mg : ();
		return @lines >= $count;
	});

	return @lines;
}

###############################################################################

# A connection of its own, in which the service is asked to give a text back, and
# which ends as TLS wants it: OpenSSL may drop the session otherwise.
# Options: those of tls_get(), of stream_talk(), and socket.  A hash: version,
# reused, session, body, or else error.

sub stream_get {
	my ($port, %opts) = @_;

	my $result = eval {
		my $client = tls_hello($port, %opts);
		my $got = stream_talk($client, %opts);
		Net::SSLeay::shutdown($client->{ssl});
		return $got;
	};

	return $result // { error => $@ };
}

# The same in a connection that has begun by tls_hello(), and more than once;
# dies where it fails.  Options:
#
# echo: the text; without it, all that comes is read
# at_once: what follows the handshake goes in one packet with its end; it has to
# end with the client, as all do but full ones of TLS 1.2
# ends: it is the last that the client says
# leaves: the same, but without a word

sub stream_talk {
	my ($client, %opts) = @_;

	my ($ssl, $text) = ($client->{ssl}, $opts{echo});
	my $length = length($text // '');
	my $frame = "\$$length\r\n";

	setsockopt $client->socket(), IPPROTO_TCP, TCP_CORK, 1 if $opts{at_once};

	$client->handshake();
	$client->write("*2\r\n\$4\r\nECHO\r\n$frame$text\r\n") if defined $text;

	Net::SSLeay::shutdown($ssl) if $opts{ends};
	shutdown $client->socket(), 1 if $opts{ends} or $opts{leaves};

	setsockopt $client->socket(), IPPROTO_TCP, TCP_CORK, 0 if $opts{at_once};

	my $received = '';
	my $expected = length($frame) + $length + 2;

	until (defined $text && length $received >= $expected) {
		my $part = $client->read();
		last unless length $part;
		$received .= $part;
	}

	$received =~ s/^\Q$frame\E(.*)\r\n$/$1/s if defined $text;

	return {
		body => $received,
		reused => $client->reused(),
		session => $client->session(),
		version => Net::SSLeay::get_version($ssl),
	};
}

###############################################################################

1;

###############################################################################
