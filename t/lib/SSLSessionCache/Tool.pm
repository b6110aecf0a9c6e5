package SSLSessionCache::Tool;

# The shell tool of an operator, ssl-session-cache: runs it, and has what it said.

###############################################################################

use warnings;
use strict;

use Cwd qw/ abs_path /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use IPC::Open3;
use Symbol qw/ gensym /;
use Test::More ();

our @EXPORT = qw/ tool /;

my $root = abs_path(dirname(__FILE__) . '/../../..');
our $program = $ENV{TEST_TOOL} // "$root/target/debug/ssl-session-cache";

###############################################################################

# Runs it with these arguments: a hash with status (the exit status, or undef where
# a signal ended it), out and err.  A hash in front of them has options: env, more
# of the environment; input, which is empty without that; dir, where it runs.

sub tool {
	my %opts = ref $_[0] ? %{shift @_} : ();
	my @args = @_;

	Test::More::BAIL_OUT("no $program, \"cargo build -p ssl-session-cache\" makes it")
		unless -x $program;

	my $errors = gensym();
	my $pid;

	{
		local %ENV = (%ENV, %{$opts{env} // {}});
		my @command = defined $opts{dir}
			? ('sh', '-c', 'cd "$0" && exec "$@"', $opts{dir}, $program)
			: $program;

		$pid = open3(my $in, my $out, $errors, @command, @args);

		local $SIG{PIPE} = 'IGNORE';
		print $in $opts{input} // '';
		close $in;

		my ($said, $told) = _read_all($out, $errors);
		waitpid $pid, 0;

		return {
			err => $told,
			out => $said,
			status => $? & 127 ? undef : $? >> 8,
		};
	}
}

# What comes out of both, which may fill either of the pipes first.

sub _read_all {
	my ($out, $errors) = @_;

	my %said = map { $_ => '' } fileno $out, fileno $errors;
	my %open = map { fileno $_ => $_ } $out, $errors;

	while (%open) {
		my $ready = '';
		vec($ready, $_, 1) = 1 foreach keys %open;
		next if select($ready, undef, undef, undef) < 1;

		foreach my $number (grep { vec $ready, $_, 1 } keys %open) {
			sysread $open{$number}, $said{$number}, 65536,
				length $said{$number} or delete $open{$number};
		}
	}

	return @said{fileno $out, fileno $errors};
}

###############################################################################

1;

###############################################################################
