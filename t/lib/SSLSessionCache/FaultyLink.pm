package SSLSessionCache::FaultyLink;

# A TCP proxy in front of a store that passes everything on, but for the fault
# that it is told, until it is told another.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use IO::Socket::INET;
use Socket qw/ AF_UNIX IPPROTO_TCP PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_LINGER
	TCP_NODELAY /;
use Test::Nginx;
use Time::HiRes qw/ time /;

# What becomes of the bytes that the store sends: a list of bytes, of which
# undef is a reset.

my %faults = (
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

# Options: port and peer as in Test::Nginx::port().

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t, %opts);

	socketpair $self->{control}, my $control, AF_UNIX, SOCK_STREAM,
		PF_UNSPEC or die "socketpair() failed: $!\n";
	$_->autoflush(1) foreach $self->{control}, $control;

	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1:' . port($self->{port}),
		Listen => 128,
		ReuseAddr => 1,
	)
		or die "Can't listen: $!\n";

	return $self->launch(sub { $self->_run($listener, $control) });
}

# none; slow: each way takes so many seconds; silent: nothing is passed on;
# refuse: connections are reset at once; reset: once, those that there are;
# cut: a reset in the middle of a reply; twice, bytewise, garbled: the replies

sub fault {
	my ($self, $fault, $seconds) = @_;

	my $control = $self->{control};
	print $control $fault, ' ', $seconds // 0, "\n";
	readline $control;
}

sub _run {
	my ($self, $listener, $control) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $select = IO::Select->new($listener, $control);
	my ($fault, $delay) = ('none', 0);
	my (%peer, %from_store, @queue);

	my $end = sub {
		my ($socket, $reset) = @_;

		foreach my $one ($socket, delete $peer{$socket}) {
			next unless $one;
			setsockopt $one, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0
				if $reset;
			$select->remove($one);
			delete @{$_}{$one} foreach \%peer, \%from_store;
			close $one;
		}
	};

	while (1) {
		my $wait = @queue ? $queue[0]{due} - time() : undef;
		$wait = 0 if defined $wait && $wait < 0;

		my $ready = $fault eq 'silent'
			? IO::Select->new($listener, $control) : $select;

		foreach my $socket ($ready->can_read($wait)) {
			if ($socket == $control) {
				($fault, $delay) = split ' ', <$control> // exit;
				$delay = 0 unless $fault eq 'slow';
				$end->($_, 1) foreach $fault eq 'reset'
					? grep { $from_store{$_} } $select->handles() : ();
				print $control "ok\n";

			} elsif ($socket == $listener) {
				my $one = $listener->accept() or next;
				my $other = $fault ne 'refuse' && IO::Socket::INET->new(
					'127.0.0.1:' . port($self->{peer}));

				$end->($one, 1), next unless $other;

				setsockopt $_, IPPROTO_TCP, TCP_NODELAY, 1
					for $one, $other;
				@peer{$one, $other} = ($other, $one);
				$from_store{$other} = 1;
				$select->add($one, $other);

			} elsif ($peer{$socket}) {
				sysread $socket, my $bytes, 65536 or $end->($socket), next;

				my $spoil = $from_store{$socket} && $faults{$fault};

				push @queue, map { {
					due => time() + $delay,
					from => $socket,
					bytes => $_,
				} } $spoil ? $spoil->($bytes) : $bytes;
			}
		}

		while (@queue && $queue[0]{due} <= time()) {
			my ($from, $bytes) = @{shift @queue}{qw/ from bytes /};
			my $to = $peer{$from} or next;

			if (defined $bytes) {
				syswrite $to, $bytes;

			} else {
				$end->($to, 1);
			}
		}
	}
}

###############################################################################

1;

###############################################################################
