package SSLSessionCache::QUICHello;

# A client of HTTP/3 whose first packets are sent by hand: in pieces, again, or with
# what does not belong there.  What follows them is an ordinary connection.

###############################################################################

use warnings;
use strict;

use parent 'Test::Nginx::HTTP3';

use SSLSessionCache::QUIC;

###############################################################################

# A client that has sent nothing yet.  Options as of h3_get().

sub new {
	my ($class, $port, %opts) = @_;

	return $class->SUPER::new($port, probe => 1,
		SSLSessionCache::QUIC::offering($opts{session}));
}

# Where the client of nginx-tests sends its ClientHello.  This one knows secp384r1
# as well, but has no key share for it.

sub initial {
	my ($self) = @_;

	my $groups = \&Test::Nginx::HTTP3::build_tlsext_supported_groups;

	no warnings 'redefine';
	local *Test::Nginx::HTTP3::build_tlsext_supported_groups
		= sub { $groups->(@_, 0x18) };

	$self->{tlsm}{ch} ||= $self->build_tls_client_hello();
}

# A new connection, over the same socket.

sub renew {
	my ($self) = @_;

	$self->init();

	return $self->retry(probe => 1);
}

sub hello {
	my ($self) = @_;

	return $self->{tlsm}{ch};
}

# A datagram with these frames, all of the ClientHello without any.

sub datagram {
	my ($self, @frames) = @_;

	@frames = $self->crypto() unless @frames;

	return $self->encrypt_aead(join('', @frames), 0);
}

# A part of the ClientHello, all of it by default, or of other bytes behind it.

sub crypto {
	my ($self, $offset, $bytes) = @_;

	$offset //= 0;
	$bytes //= substr $self->hello(), $offset;

	return "\x06" . Test::Nginx::HTTP3::build_int($offset)
		. Test::Nginx::HTTP3::build_int(length $bytes) . $bytes;
}

sub send {
	my ($self, @datagrams) = @_;

	$self->{socket}->syswrite($_) foreach @datagrams;

	return $self;
}

# The datagram of a client that leaves: CONNECTION_CLOSE, of no error.

sub closing {
	my ($self) = @_;

	return $self->datagram("\x1c\0\0\0");
}

# Reads the Retry of a server that wants to know whether an address is its client's:
# what is sent from now on has the token in it.

sub validated {
	my ($self) = @_;

	my $socket = $self->{socket};
	IO::Select->new($socket)->can_read(3) or die "no Retry\n";
	$socket->sysread(my $packet, 65527);
	$self->{token} = ($self->decrypt_aead($packet))[3] or die "no token\n";

	return $self->retry(probe => 1);
}

# What a HelloRetryRequest asks for: another ClientHello, with a key share for
# secp384r1.  What binds the session is over all three messages (RFC 8446,
# section 4.4.1).

sub hello_again {
	my ($self) = @_;

	my $first = $self->hello();
	my $dcid = $self->{dcid};

	$self->read_tls_message(\my $buf, \&Test::Nginx::HTTP3::parse_tls_server_hello)
		or die "no HelloRetryRequest\n";

	my $before = "\xfe\0" . pack('n/a', Crypt::Digest::digest_data('SHA384', $first))
		. $self->{tlsm}{sh};

	$self->{crypto_in}[0] = [];
	$self->{dcid} = $dcid;
	$self->{group} = 'secp384r1';
	$self->tls_generate_key();
	$self->{tlsm}{ch} = Test::Nginx::HTTP3::build_tls_ch_with_binder(
		$before . $self->build_tls_client_hello(),
		@$self{qw/ psk es_prk /});

	return $self->send($self->datagram($self->crypto(length $first,
		substr $self->{tlsm}{ch}, length $before)));
}

# The rest of the handshake, and a request: as of h3_get().

sub get {
	my ($self) = @_;

	$self->retry() or return { body => 'failed' };

	return h3_request($self);
}

###############################################################################

1;

###############################################################################
