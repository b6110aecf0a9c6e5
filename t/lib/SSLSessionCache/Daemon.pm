package SSLSessionCache::Daemon;

# A process of a test that can be stopped, killed and held still before the
# test ends.  It is run by Test::Nginx->run_daemon(), which stops it when the
# test is over, also after a failure.

###############################################################################

use warnings;
use strict;

use POSIX qw/ WNOHANG /;
use Scalar::Util qw/ weaken /;

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

1;

###############################################################################
