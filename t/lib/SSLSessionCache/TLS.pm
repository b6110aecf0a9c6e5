package SSLSessionCache::TLS;

# A TLS client that keeps a session and offers it again, to any port, and
# certificates.  A session is the DER form of OpenSSL's SSL_SESSION: a plain
# string that may be offered any number of times.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64;
use Net::SSLeay;
use Socket qw/ IPPROTO_TCP TCP_NODELAY /;
use Test::Nginx;
use Time::HiRes qw/ time /;

our @EXPORT = qw/
	certificate session_id tls_get tls_hello write_session
/;

# Generous: reached only by something that is broken.
use constant TIMEOUT => 10;

# A server may close a connection before this end knows.
$SIG{PIPE} = 'IGNORE';

my %versions = (
	'TLSv1.2' => Net::SSLeay::TLS1_2_VERSION(),
	'TLSv1.3' => Net::SSLeay::TLS1_3_VERSION(),
);

###############################################################################

# One request over a connection of its own.  Options: version, session, sni,
# alpn, cert (a name given to certificate()), ciphers, groups, no_tickets (knows
# none of TLS 1.2), uri.  A hash: version, reused, alpn, session, body, or else
# error.

sub tls_get {
	my ($port, %opts) = @_;

	my $result = eval { tls_hello($port, %opts)->get($opts{uri} // '/') };

	return $result // { error => $@ };
}

# A connection whose ClientHello has been sent, and no more.  Also takes a
# socket that is connected already.

sub tls_hello {
	my ($port, %opts) = @_;

	my $socket = $opts{socket}
		// IO::Socket::INET->new('127.0.0.1:' . port($port))
		// die "connect() failed: $!\n";

	setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

	my $self = _client(%opts);

	syswrite $socket, $self->{hello};
	$self->_use_socket($socket);

	return $self;
}

# Its ClientHello goes into memory: on a socket SSL_connect() would also read.

sub _client {
	my (%opts) = @_;

	my $ssl = Net::SSLeay::new(_context(%opts)) or die "SSL_new() failed\n";
	Net::SSLeay::set_tlsext_host_name($ssl, $opts{sni} // 'localhost');

	if (defined $opts{session}) {
		my $session = Net::SSLeay::d2i_SSL_SESSION($opts{session});
		Net::SSLeay::set_session($ssl, $session);
		Net::SSLeay::SESSION_free($session);
	}

	Net::SSLeay::set_session_ticket_ext($ssl, "\0" x $opts{padding})
		if defined $opts{padding};

	my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) }
		1 .. 2;
	my $hello = '';

	Net::SSLeay::set_bio($ssl, $in, $out);
	Net::SSLeay::connect($ssl);
	$hello .= Net::SSLeay::BIO_read($out) while Net::SSLeay::BIO_pending($out);

	return bless {
		hello => $hello,
		host => $opts{sni} // 'localhost',
		ssl => $ssl,
	}, __PACKAGE__;
}

sub _use_socket {
	my ($self, $socket) = @_;

	$socket->blocking(0);
	Net::SSLeay::set_fd($self->{ssl}, fileno $socket);
	$self->{socket} = $socket;
}

my %contexts;

sub _context {
	my (%opts) = @_;

	my @alpn = @{$opts{alpn} // []};
	my ($version, $cert, $groups, $ciphers, $no_tickets)
		= @opts{qw/ version cert groups ciphers no_tickets /};
	my $name = join ' ', map({ $_ // '' } $version, $cert, $groups, $ciphers,
		$no_tickets), @alpn;

	return $contexts{$name} //= do {
		my $ctx = Net::SSLeay::CTX_new_with_method(
			Net::SSLeay::TLS_client_method());

		if (defined $version) {
			Net::SSLeay::CTX_set_min_proto_version($ctx,
				$versions{$version});
			Net::SSLeay::CTX_set_max_proto_version($ctx,
				$versions{$version});
		}

		Net::SSLeay::CTX_set_alpn_protos($ctx, [@alpn]) if @alpn;
		Net::SSLeay::CTX_set1_groups_list($ctx, $groups)
			if defined $groups;
		Net::SSLeay::CTX_set_options($ctx, Net::SSLeay::OP_NO_TICKET())
			if $no_tickets;
		Net::SSLeay::CTX_set_cipher_list($ctx, $ciphers)
			if defined $ciphers;
		Net::SSLeay::set_cert_and_key($ctx, "$cert.crt", "$cert.key")
			if defined $cert;

		$ctx;
	};
}

sub DESTROY {
	my ($self) = @_;

	Net::SSLeay::free($self->{ssl});
}

###############################################################################

sub socket {
	my ($self) = @_;

	return $self->{socket};
}

# Whether the server has said anything that was not read yet.

sub answered {
	my ($self, $seconds) = @_;

	return IO::Select->new($self->{socket})->can_read($seconds // 0) ? 1 : 0;
}

sub handshake {
	my ($self) = @_;

	$self->_wait_for(sub { Net::SSLeay::connect($self->{ssl}) });

	return $self;
}

sub reused {
	my ($self) = @_;

	return Net::SSLeay::session_reused($self->{ssl});
}

# With TLS 1.3 only after something was read: the tickets follow the handshake.

sub session {
	my ($self) = @_;

	my $session = Net::SSLeay::get1_session($self->{ssl}) or return;
	my $der = Net::SSLeay::i2d_SSL_SESSION($session);
	Net::SSLeay::SESSION_free($session);

	return $der;
}

sub write {
	my ($self, $data) = @_;

	log_out($data);
	$self->_wait_for(sub { Net::SSLeay::write($self->{ssl}, $data) });

	return $self;
}

# Some bytes, or '' at the end.

sub read {
	my ($self) = @_;

	my $data;

	$self->_wait_for(sub {
		($data, my $rc) = Net::SSLeay::read($self->{ssl});
		return $rc;
	});

	return $data // '';
}

# The rest of the handshake, one request, and the end of the connection.

sub get {
	my ($self, $uri) = @_;

	$self->handshake();
	$self->write("GET $uri HTTP/1.0\r\nHost: $self->{host}\r\n\r\n");

	my $response = '';

	while (length(my $part = $self->read())) {
		$response .= $part;
	}

	log_in($response);

	my $ssl = $self->{ssl};

	return {
		alpn => Net::SSLeay::P_alpn_selected($ssl),
		body => $response =~ /\r\n\r\n(.*)/s ? $1 : undef,
		response => $response,
		reused => $self->reused(),
		session => $self->session(),
		version => Net::SSLeay::get_version($ssl),
	};
}

# Until an operation is done or fails; the end of the stream counts as done.

sub _wait_for {
	my ($self, $operation) = @_;

	my $select = IO::Select->new($self->{socket});

	for (my $end = time() + TIMEOUT; time() < $end; ) {
		Net::SSLeay::ERR_clear_error();

		my $rc = $operation->();
		return $rc if $rc > 0;

		my $error = Net::SSLeay::get_error($self->{ssl}, $rc);

		if ($error == Net::SSLeay::ERROR_WANT_READ()) {
			$select->can_read(TIMEOUT);

		} elsif ($error == Net::SSLeay::ERROR_WANT_WRITE()) {
			$select->can_write(TIMEOUT);

		} elsif ($error == Net::SSLeay::ERROR_ZERO_RETURN()) {
			return 0;

		} else {
			die "TLS failed: " . (Net::SSLeay::ERR_error_string(
				Net::SSLeay::ERR_get_error())
				|| $! || 'connection closed') . "\n";
		}
	}

	die "TLS timed out\n";
}

###############################################################################

# The id that a server looks up for a session: the session id of TLS 1.2, and
# what a stateful ticket of TLS 1.3 holds.

sub session_id {
	my ($der) = @_;

	# SSL_SESSION: version, protocol, cipher, session id, ..., [10] ticket

	my @fields = _elements((_elements($der))[0][1]);
	my ($ticket) = map { $_->[1] } grep { $_->[0] == 0xaa } @fields;

	return defined $ticket ? (_elements($ticket))[0][1] : $fields[3][1];
}

# DER elements as pairs of tag and contents.

sub _elements {
	my ($der) = @_;

	my @elements;

	while (length $der) {
		my ($tag, $length) = unpack 'CC', $der;
		my $start = 2;

		if ($length & 0x80) {
			my $octets = $length & 0x7f;
			$length = hex unpack 'H*', substr $der, 2, $octets;
			$start += $octets;
		}

		push @elements, [ $tag, substr $der, $start, $length ];
		$der = substr $der, $start + $length;
	}

	return @elements;
}

# A file that "openssl s_client -sess_in" reads.

sub write_session {
	my ($t, $name, $der) = @_;

	$t->write_file($name, "-----BEGIN SSL SESSION PARAMETERS-----\n"
		. encode_base64($der) . "-----END SSL SESSION PARAMETERS-----\n");

	return $t->testdir() . "/$name";
}

# A self-signed NAME.crt and NAME.key in the test's directory; the path without
# the extensions.  Options: names, so many alternative names make it large; rsa,
# whether its key is one of RSA.

sub certificate {
	my ($t, $name, %opts) = @_;

	my $path = $t->testdir() . "/$name";
	my $names = join ',', map { "DNS:$_.example.com" } 1 .. $opts{names} // 0;
	my $extension = $names ? "-addext subjectAltName=$names" : '';
	my $key = $opts{rsa} ? 'rsa:2048' : 'ec -pkeyopt ec_paramgen_curve:P-256';

	system("openssl req -x509 -newkey $key "
		. "-nodes -subj /CN=$name -days 1 $extension "
		. "-out $path.crt -keyout $path.key >$path.out 2>&1") == 0
		or die "Can't create certificate for $name: "
			. $t->read_file("$name.out");

	return $path;
}

###############################################################################

1;

###############################################################################
