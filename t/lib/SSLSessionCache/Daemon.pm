package SSLSessionCache::Daemon;

# A process of a test that can be stopped, killed and held still before the
# test ends.  It is run by Test::Nginx->run_daemon(), which stops it when the
# test is over, also after a failure.

###############################################################################

use warnings;
use strict;

use IO::Socket::INET;
use POSIX qw/ WNOHANG /;
use Scalar::Util qw/ weaken /;
use Socket qw/ AF_UNIX PF_UNSPEC SOCK_STREAM /;
use Test::Nginx;

use SSLSessionCache::Wait;

###############################################################################

# The test's object is held weakly: it must go first, for its last checks are
# made when it goes.

sub new {
	my ($class, $t, %self) = @_;

	my $self = bless { %self, t => $t }, $class;
	weaken $self->{t};

	return $self;
}

sub launch {
	my ($self, @command) = @_;

	$self->{t}->run_daemon(@command);
	$self->{pid} = $self->{t}{_daemons}[-1];

	return $self;
}

sub pid {
	my ($self) = @_;

	return $self->{pid};
}

sub signal {
	my ($self, $signal) = @_;

	kill $signal, $self->{pid};

	return $self;
}

# Ends the process by a signal; true when it is gone in time.

sub end {
	my ($self, $signal) = @_;

	my $pid = $self->{pid};

	kill $signal, $pid;
	wait_until(sub { waitpid($pid, WNOHANG) != 0 }) or return 0;

	my $daemons = $self->{t}{_daemons};
	@$daemons = grep { $_ != $pid } @$daemons;

	return 1;
}

###############################################################################

# For a process that is a part of the test.

# What it accepts connections with, on the daemon's port, as in
# Test::Nginx::port().

sub listener {
	my ($self) = @_;

	return IO::Socket::INET->new(
		LocalAddr => ($self->{bind} // '127.0.0.1') . ':' . port($self->{port}),
		Listen => 128,
		ReuseAddr => 1,
	)
		// die "Can't listen: $!\n";
}

# Its end of a line to the test: it answers each line of text that comes by
# tell() with one.

sub control {
	my ($self) = @_;

	socketpair $self->{control}, my $control, AF_UNIX, SOCK_STREAM,
		PF_UNSPEC or die "socketpair() failed: $!\n";
	$_->autoflush(1) foreach $self->{control}, $control;

	return $control;
}

# The answer.

sub tell {
	my ($self, @words) = @_;

	my $control = $self->{control};

	print $control "@words\n";
	chomp(my $answer = <$control>);

	return $answer;
}

###############################################################################

1;

###############################################################################
