package SSLSessionCache::Link;

# A TCP proxy that stands for the link to the store: it can be slow, it can be
# held still by signals, and it counts what comes over it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use IO::Socket::INET;
use List::Util qw/ sum0 /;
use Socket qw/ IPPROTO_TCP SOL_SOCKET SO_RCVBUF TCP_NODELAY /;
use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Wait;

###############################################################################

# Options: port and peer as in Test::Nginx::port() (8378, 8379), delay: what
# one end sends reaches the other so many seconds later, piece: and so many bytes
# at once at most, a millisecond apart, buffer: about how many bytes the kernel
# holds of what nginx sends.

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t,
		port => 8378, peer => 8379, delay => 0, %opts);
	$self->{trace} = $t->testdir() . "/link.$self->{port}";

	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1:' . port($self->{port}),
		Listen => 128,
		ReuseAddr => 1,
	)
		or die "Can't listen: $!\n";

	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, $self->{buffer}
		if defined $self->{buffer};

	return $self->launch(sub { $self->_run($listener) });
}

# How many lookups each read from nginx held.

sub reads {
	my ($self) = @_;

	return grep { $_ } map { $_->[0] } $self->_trace();
}

# All lookups, or all probes, up to now.

sub lookups {
	my ($self) = @_;

	return sum0($self->reads());
}

sub probes {
	my ($self) = @_;

	return sum0(map { $_->[1] } $self->_trace());
}

sub wait_lookups {
	my ($self, $count) = @_;

	wait_until(sub { $self->lookups() >= $count });

	return $self->lookups();
}

sub _trace {
	my ($self) = @_;

	open my $trace, '<', $self->{trace} or return;

	return map { [ split ' ' ] } <$trace>;
}

sub _run {
	my ($self, $listener) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $select = IO::Select->new($listener);
	my (%peer, %client, @queue);

	open my $trace, '>', $self->{trace} or die "open() failed: $!\n";
	$trace->autoflush(1);

	while (1) {
		my $wait = @queue ? $queue[0]{due} - time() : undef;
		$wait = 0 if defined $wait && $wait < 0;

		foreach my $socket ($select->can_read($wait)) {
			if ($socket == $listener) {
				my $one = $listener->accept() or next;
				my $other = IO::Socket::INET->new(
					'127.0.0.1:' . port($self->{peer}));

				next unless $other;

				setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1
					for $one, $other;
				$peer{$one} = $other;
				$peer{$other} = $one;
				$client{$one} = 1;
				$select->add($one, $other);
				next;
			}

			my $data = '';
			sysread $socket, $data, 65536;

			my $lookups = () = $data =~ /\nGET\r\n|^get /mg;
			my $probes = () = $data =~ /\nPING\r\n|^version\r\n/mg;
			print $trace "$lookups $probes\n" if $client{$socket};

			# an empty string is the end of the stream
			my $piece = $self->{piece} // 65536;
			my @pieces = unpack "(a$piece)*", $data;
			my $due = time() + $self->{delay};

			push @queue, {
				due => ($due += 0.001) - 0.001,
				to => $peer{$socket},
				data => $_,
			} foreach @pieces ? @pieces : '';
			$select->remove($socket) unless length $data;
		}

		while (@queue && $queue[0]{due} <= time()) {
			my ($to, $data) = @{shift @queue}{qw/ to data /};

			if (length $data) {
				$to->blocking(1);
				syswrite $to, $data;

			} else {
				shutdown $to, 1;
			}
		}
	}
}

###############################################################################

1;

###############################################################################
