package SSLSessionCache::Link;

# A TCP proxy that stands for the link to the store: it can be slow, it can be
# held still by signals, it can be told to fail, and it counts what comes over
# it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use IO::Socket::INET;
use List::Util qw/ sum0 /;
use Socket qw/ IPPROTO_TCP SOL_SOCKET SO_LINGER SO_RCVBUF TCP_NODELAY /;
use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Wait;

# What becomes of the bytes that the store sends: a list of bytes, of which
# undef is a reset.

my %spoilt = (
	cut => sub { (substr($_[0], 0, rand length $_[0]), undef) },
	twice => sub { ($_[0], $_[0]) },
	bytewise => sub { split //, $_[0] },
	garbled => sub {
		my ($bytes) = @_;
		substr($bytes, rand length $bytes, rand 4) = join '',
			map { chr rand 256 } 0 .. rand 8;
		return $bytes;
	},
);

###############################################################################

# Options: port and peer as in Test::Nginx::port() (8378, 8379), delay: what
# one end sends reaches the other so many seconds later, piece: and so many bytes
# at once at most, a millisecond apart, buffer: about how many bytes the kernel
# holds of what nginx sends, breaks: for one connection after the other, what
# happens to it (stuck, reset) behind how many bytes of the store.

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t,
		port => 8378, peer => 8379, delay => 0, %opts);
	$self->{trace} = $t->testdir() . "/link.$self->{port}";

	my ($listener, $control) = ($self->listener(), $self->control());

	# this process chooses where it is, though nothing may be there yet
	port($self->{peer});

	setsockopt $listener, SOL_SOCKET, SO_RCVBUF, $self->{buffer}
		if defined $self->{buffer};

	return $self->launch(sub { $self->_run($listener, $control) });
}

# What is wrong with the link from now on.  none; slow: each way takes so many
# seconds; silent: nothing is passed on; refuse: connections are reset at once;
# reset: once, those that there are; cut: a reset in the middle of a reply;
# twice, bytewise, garbled: the replies.

sub fault {
	my ($self, $fault, $seconds) = @_;

	$self->tell($fault, $seconds // 0);
}

# How many lookups each read from nginx held.

sub reads {
	my ($self) = @_;

	return grep { $_ } map { $_->[0] } $self->_trace();
}

# All lookups, probes, or connections up to now.

sub lookups {
	my ($self) = @_;

	return sum0($self->reads());
}

sub probes {
	my ($self) = @_;

	return sum0(map { $_->[1] } $self->_trace());
}

sub connections {
	my ($self) = @_;

	return sum0(map { $_->[2] } $self->_trace());
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
	my ($self, $listener, $control) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $select = IO::Select->new($listener, $control);
	my ($fault, $delay) = ('none', $self->{delay});
	my $piece = $self->{piece} // 65536;
	my $gap = defined $self->{piece} ? 0.001 : 0;
	my @breaks = @{$self->{breaks} // []};
	my (%peer, %from_store, %broken, %ended, @queue);

	my $close = sub {
		my ($socket, $reset) = @_;

		foreach my $one ($socket, delete $peer{$socket}) {
			next unless $one;
			setsockopt $one, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0
				if $reset;
			$select->remove($one);
			delete @{$_}{$one}
				foreach \%peer, \%from_store, \%broken, \%ended;
			close $one;
		}
	};

	open my $trace, '>', $self->{trace} or die "open() failed: $!\n";
	$trace->autoflush(1);

	while (1) {
		my $wait = @queue ? $queue[0]{due} - time() : undef;
		$wait = 0 if defined $wait && $wait < 0;

		my $ready = $fault eq 'silent'
			? IO::Select->new($listener, $control) : $select;

		foreach my $socket ($ready->can_read($wait)) {
			if ($socket == $control) {
				($fault, $delay) = split ' ', <$control> // exit;
				$delay = $self->{delay} unless $fault eq 'slow';
				$close->($_, 1) foreach $fault eq 'reset'
					? grep { $from_store{$_} } $select->handles() : ();
				print $control "ok\n";

			} elsif ($socket == $listener) {
				my $one = $listener->accept() or next;
				my $other = $fault ne 'refuse' && IO::Socket::INET->new(
					'127.0.0.1:' . port($self->{peer}));

				$close->($one, 1), next unless $other;

				setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1
					for $one, $other;
				@peer{$one, $other} = ($other, $one);
				$from_store{$other} = 1;
				$broken{$other} = _broken(@{shift @breaks}) if @breaks;
				print $trace "0 0 1\n";
				$select->add($one, $other);

			} elsif ($peer{$socket}) {
				my $bytes = '';
				sysread $socket, $bytes, 65536;

				my $lookups = () = $bytes =~ /\nGET\r\n|^get /mg;
				my $probes = () = $bytes =~ /\nPING\r\n|^version\r\n/mg;
				print $trace "$lookups $probes 0\n"
					unless $from_store{$socket};

				my $spoil = $broken{$socket}
					// ($from_store{$socket} && $spoilt{$fault});
				my $due = time() + $delay;

				# an empty string is the end of the stream
				push @queue, map { {
					due => ($due += $gap) - $gap,
					from => $socket,
					bytes => $_,
				} } !length $bytes ? ''
					: $spoil ? grep({ !defined || length } $spoil->($bytes))
					: unpack "(a$piece)*", $bytes;
				$select->remove($socket) unless length $bytes;
			}
		}

		while (@queue && $queue[0]{due} <= time()) {
			my ($from, $bytes) = @{shift @queue}{qw/ from bytes /};
			my $to = $peer{$from} or next;

			if (!defined $bytes) {
				$close->($to, 1);

			} elsif (length $bytes) {
				syswrite $to, $bytes;

			} else {
				shutdown $to, 1;
				$ended{$from} = 1;
				$close->($to) if $ended{$to};
			}
		}
	}
}

# As in %spoilt, for one connection.

sub _broken {
	my ($how, $left) = @_;

	return sub {
		my $bytes = substr $_[0], 0, $left;
		$left -= length $bytes;

		return $bytes, $left == 0 && $how eq 'reset' ? undef : ();
	};
}

###############################################################################

1;

###############################################################################
