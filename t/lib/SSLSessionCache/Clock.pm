package SSLSessionCache::Clock;

# The time of day as one machine has it: what is started by it sees a clock that
# can be moved, while this test and its stores keep theirs.  Times that are
# measured, for timers, go on as they do.

###############################################################################

use warnings;
use strict;

use Test::Nginx;

use constant HOUR => 3600;

my ($LIBRARY) = glob '/usr/lib/*/faketime/libfaketime.so.1';

###############################################################################

# Clocks by name.  The hour that begins next is the first one: by hours ticket
# keys change.

sub new {
	my ($class, $t, $name) = @_;

	Test::More::plan(skip_all => 'no libfaketime') unless defined $LIBRARY;

	my $self = bless {
		t => $t,
		first => HOUR * (1 + int CORE::time() / HOUR),
		name => "$name.clock",
	}, $class;

	# Workers read it, who may be nobody

	chmod 0711, $t->testdir();

	return $self->set(0, 300);
}

# Sets it to so many seconds after an hour has begun, of which 0 is the first.

sub set {
	my ($self, $hour, $seconds) = @_;

	$self->{ahead} = $self->{first} + $hour * HOUR + $seconds - CORE::time();

	# Replaced as a whole: it is read at any time.
	my $file = $self->{t}->testdir() . "/$self->{name}";
	$self->{t}->write_file("$self->{name}.new", sprintf "%+d\n", $self->{ahead});
	rename "$file.new", $file or die "rename() failed: $!\n";

	return $self;
}

# What it says, in Unix seconds.

sub time {
	my ($self) = @_;

	return $self->{ahead} + CORE::time();
}

# Lines for the main part of a configuration of nginx, whose workers have no
# other environment.

sub directives {
	my ($self) = @_;

	my %env = $self->_env();

	return join "\n", map { "env $_;" } sort grep { !/PRELOAD/ } keys %env;
}

# Does something that starts nginx.

sub run {
	my ($self, $action) = @_;

	my %env = $self->_env();
	local @ENV{keys %env} = values %env;

	return $action->();
}

sub _env {
	my ($self) = @_;

	return (
		FAKETIME_DONT_FAKE_MONOTONIC => 1,
		FAKETIME_NO_CACHE => 1,
		FAKETIME_TIMESTAMP_FILE => $self->{t}->testdir() . "/$self->{name}",
		LD_PRELOAD => $LIBRARY,
		NO_FAKE_STAT => 1,
	);
}

###############################################################################

1;

###############################################################################
