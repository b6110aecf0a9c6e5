package SSLSessionCache::Hello;

# A TLS client whose ClientHello is sent by hand: in pieces, in other records,
# in part.  What follows it is an ordinary connection.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::TLS';

use Exporter qw/ import /;
use IO::Socket::INET;
use Socket qw/ IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY /;
use Test::Nginx;

our @EXPORT = qw/ is_answered reset_connection /;

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

# The records of the hello with these tickets: an extension more, the last one.
# Proof of having a ticket's session is looked at only when that is found.

sub offering {
	my ($self, @tickets) = @_;

	my $body = join '', unpack '(x3n/a)*', $self->{hello};
	substr $body, 0, 4, '';

	my $start = 35 + unpack 'x34C', $body;
	$start += 2 + unpack "x$start n", $body;
	$start += 1 + unpack "x$start C", $body;

	my $identities = join '', map { pack 'n/aN', $_, 0 } @tickets;
	my $extensions = substr($body, $start + 2)
		. pack 'nn/a', 41, pack 'n/an/a', $identities,
		pack 'C/a', "\0" x 32;

	$body = substr($body, 0, $start) . pack 'n/a', $extensions;

	my $message = pack('N', 1 << 24 | length $body) . $body;

	return join '', map { pack 'Cnn/a', 22, 0x301, $_ }
		unpack '(a16384)*', $message;
}

# Whether what is sent is answered by a ServerHello.

sub is_answered {
	my ($port, $stream) = @_;

	my $socket = connected($port);
	local $SIG{ALRM} = sub { die "timeout\n" };

	alarm(10);
	syswrite $socket, $stream;
	sysread $socket, my $answer, 6;
	alarm(0);

	return $answer =~ /^\x16\x03\x03..\x02/s;
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

# Ends the connection of any client's socket by a reset.

sub reset_connection {
	my ($socket) = @_;

	setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
	close $socket;
}

###############################################################################

1;

###############################################################################
