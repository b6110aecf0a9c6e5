package SSLSessionCache::Clock;

# The time of day as one machine has it: what is started by it sees a clock that
# can be moved, while this test and its stores keep theirs.  Times that are
# measured, for timers, go on as they do.

###############################################################################

use warnings;
use strict;

use Test::Nginx;

my ($LIBRARY) = glob '/usr/lib/*/faketime/libfaketime.so.1';

###############################################################################

# Clocks by name; one that is not moved is right.

sub new {
	my ($class, $t, $name) = @_;

	Test::More::plan(skip_all => 'no libfaketime') unless defined $LIBRARY;

	my $self = bless { t => $t, name => "$name.clock" }, $class;

	return $self->move(0);
}

# Sets it so many seconds ahead of the true time.

sub move {
	my ($self, $seconds) = @_;

	# Replaced as a whole: it is read at any time.
	my $file = $self->{t}->testdir() . "/$self->{name}";
	$self->{t}->write_file("$self->{name}.new", sprintf "%+d\n", $seconds);
	rename "$file.new", $file or die "rename() failed: $!\n";

	return $self;
}

# Lines for the main part of a configuration of nginx, whose workers have no
# other environment.

sub directives {
	my ($self) = @_;

	return join "\n", map { "env $_;" } sort grep { !/PRELOAD/ } keys %{$self->_env()};
}

# Does something that starts nginx.

sub run {
	my ($self, $action) = @_;

	local @ENV{keys %{$self->_env()}} = values %{$self->_env()};

	return $action->();
}

sub _env {
	my ($self) = @_;

	return {
		FAKETIME_DONT_FAKE_MONOTONIC => 1,
		FAKETIME_NO_CACHE => 1,
		FAKETIME_TIMESTAMP_FILE => $self->{t}->testdir() . "/$self->{name}",
		LD_PRELOAD => $LIBRARY,
		NO_FAKE_STAT => 1,
	};
}

###############################################################################

1;

###############################################################################
