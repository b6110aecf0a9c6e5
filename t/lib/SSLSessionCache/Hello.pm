package SSLSessionCache::Hello;

# A TLS client whose ClientHello is sent by hand: in pieces, in other records,
# in part.  What follows it is an ordinary connection.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::TLS';

use IO::Socket::INET;
use Socket qw/ IPPROTO_TCP TCP_NODELAY /;
use Test::Nginx;

###############################################################################

# Options as of tls_get(), and padding: the length of a stateless ticket, which
# servers without such tickets ignore.  TLSv1.2 only.

sub new {
	my ($class, %opts) = @_;

	return bless SSLSessionCache::TLS::_client(%opts), $class;
}

# The records of the ClientHello.

sub hello {
	my ($self) = @_;

	return $self->{hello};
}

# The same message in records of so many bytes.

sub in_records {
	my ($self, $size) = @_;

	my $message = join '', unpack '(x3n/a)*', $self->{hello};

	return map { pack 'Cnn/a', 22, 0x301, $_ } unpack "(a$size)*", $message;
}

# The pieces arrive one by one: each is sent when the one before has been read.

sub send {
	my ($self, $port, @pieces) = @_;

	my $socket = connected($port);

	foreach my $piece (@pieces) {
		syswrite($socket, $piece) == length $piece
			or die "write failed: $!\n";
		select undef, undef, undef, 0.001 if @pieces > 1;
	}

	$self->_use_socket($socket);

	return $self;
}

sub connected {
	my ($port) = @_;

	my $socket = IO::Socket::INET->new('127.0.0.1:' . port($port))
		or die "connect() failed: $!\n";
	setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

	return $socket;
}

###############################################################################

1;

###############################################################################
