package SSLSessionCache::NameServer;

# A DNS server that says of any name what the test tells it to, and keeps a
# count of the questions.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use IO::Socket::INET;
use Socket qw/ inet_aton /;
use Test::Nginx;

use constant { A => 1, IN => 1 };

###############################################################################

# Options: port as in Test::Nginx::port(), ttl in seconds, addresses.

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t, ttl => 1, %opts);

	my $control = $self->control();
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1:' . port($self->{port}, udp => 1),
		Proto => 'udp',
	)
		or die "Can't bind: $!\n";

	return $self->launch(sub { $self->_run($socket, $control) });
}

# Sets the addresses, none for a name that does not exist.

sub answer {
	my ($self, @addresses) = @_;

	return $self->tell('answer', @addresses);
}

# How many questions for an IPv4 address there were.

sub questions {
	my ($self) = @_;

	return $self->tell('questions');
}

sub _run {
	my ($self, $socket, $control) = @_;

	my $select = IO::Select->new($socket, $control);
	my @addresses = @{$self->{addresses}};
	my $questions = 0;

	while (1) {
		foreach my $ready ($select->can_read()) {
			if ($ready == $control) {
				my ($word, @rest) = split ' ', <$control> // exit;
				@addresses = @rest if $word eq 'answer';
				print $control "$questions\n";
				next;
			}

			$socket->recv(my $query, 512);
			my ($type) = unpack 'n', substr $query, -4, 2;
			my @found = $type == A ? @addresses : ();
			$questions++ if $type == A;

			# the question again, and answers that refer to its name

			$socket->send(substr($query, 0, 2)
				. pack('n5', @addresses ? 0x8180 : 0x8183, 1,
					scalar @found, 0, 0)
				. substr($query, 12)
				. join '', map { pack 'n3Nn/a*', 0xc00c, A, IN,
					$self->{ttl}, inet_aton($_) } @found);
		}
	}
}

###############################################################################

1;

###############################################################################
