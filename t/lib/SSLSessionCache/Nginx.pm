package SSLSessionCache::Nginx;

# Another nginx beside the one of Test::Nginx: a process of its own with its
# own configuration, as on another machine.  Also what can be seen of any
# nginx's workers from outside.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use Exporter qw/ import /;
use Test::Nginx;

use SSLSessionCache::Wait;

our @EXPORT = qw/
	check_config connections growth logged master private_file reload
	resident_size settled worker workers
/;

###############################################################################

# Alerts of this nginx are also written to the error.log of the first one,
# which Test::Nginx checks when the test ends.

sub new {
	my ($class, $t, $name, $config) = @_;

	return $class->SUPER::new($t, name => $name)
		->write_config($config)->start();
}

sub start {
	my ($self) = @_;

	my ($t, $name) = @$self{qw/ t name /};

	$self->launch(_command($t, "$name.conf", "$name.log"));

	$t->waitforfile($t->testdir() . "/$name.pid", $self->pid())
		or die "Can't start nginx '$name'\n";

	return $self;
}

sub write_config {
	my ($self, $config) = @_;

	_write_config($self->{t}, $self->{name}, $config);

	return $self;
}

sub error_log {
	my ($self) = @_;

	return $self->{t}->read_file("$self->{name}.log");
}

# Of this nginx, or of a master's pid; once there is one.

sub workers {
	my ($nginx) = @_;

	my $master = ref $nginx ? $nginx->pid() : $nginx;

	my @pids;
	wait_until(sub {
		@pids = sort { $a <=> $b } grep { _parent($_) == $master }
			map { m!(\d+)/stat$! } glob '/proc/[0-9]*/stat';
	});

	return @pids;
}

sub _parent {
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/stat" or return 0;

	return (<$file> // '') =~ /.*\) \S (\d+)/ ? $1 : 0;
}

###############################################################################

# A file in the test's directory that nobody else can read, as nginx wants one
# with a secret.

sub private_file {
	my ($t, $name, $content) = @_;

	$t->write_file($name, $content);
	chmod 0600, $t->testdir() . "/$name";
}

# The pid of the master process that Test::Nginx runs.

sub master {
	my ($t) = @_;

	return $t->read_file('nginx.pid') + 0;
}

# Its only worker.

sub worker {
	my ($t) = @_;

	my ($worker) = workers(master($t));

	return $worker;
}

# Has nginx read its configuration again; true once it has so many workers, none of
# them from before.

sub reload {
	my ($t, $count) = @_;

	my $master = master($t);
	my %old = map { $_ => 1 } workers($master);

	$t->reload();

	return wait_until(sub {
		my @now = workers($master);
		return @now == $count && !grep { $old{$_} } @now;
	});
}

# How many sockets a worker has open.

sub connections {
	my ($pid) = @_;

	my @sockets = grep { (readlink $_ // '') =~ /^socket:/ }
		glob "/proc/$pid/fd/*";

	return scalar @sockets;
}

# The same, once that does not change.

sub settled {
	my ($pid) = @_;

	my $count = 0;

	wait_until(sub {
		my $before = $count;
		$count = connections($pid);
		select undef, undef, undef, 0.2;
		return $count == $before;
	});

	return $count;
}

# By how many kilobytes a worker's memory grows while something is done some
# thousand times; 0 for half a megabyte, which is noise.  A leak shows whenever
# it is done, a new peak once, as where a busy machine lets more connections wait
# together: so it is done up to three times, until it shows no growth.

sub growth {
	my ($pid, $action) = @_;

	my $growth;

	foreach (1 .. 3) {
		my $before = resident_size($pid);
		$action->();
		$growth = resident_size($pid) - $before;

		return 0 if $growth < 512;
	}

	return $growth;
}

# In kilobytes.

sub resident_size {
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/status" or die "no process $pid\n";
	local $/;

	return <$file> =~ /^VmRSS:\s+(\d+) kB/m ? $1 : undef;
}

# How many lines of a log have this text.

sub logged {
	my ($log, $text) = @_;

	return `grep -cF '$text' '$log'` + 0;
}

# What "nginx -t" says of a configuration, and its exit code.

sub check_config {
	my ($t, $config) = @_;

	_write_config($t, 'check', $config);
	unlink $t->testdir() . '/check.log';

	my $command = join ' ', map { "'$_'" }
		_command($t, 'check.conf', 'check.log'), '-t';
	my $output = `$command 2>&1`;

	return ($output, $? >> 8);
}

###############################################################################

sub _command {
	my ($t, $config, $log) = @_;

	return ($Test::Nginx::NGINX, '-p', $t->testdir() . '/', '-c', $config,
		'-e', $log);
}

sub _write_config {
	my ($t, $name, $config) = @_;

	my $dir = $t->testdir();
	my $globals = "pid $dir/$name.pid;\nerror_log $dir/$name.log debug;\n"
		. "error_log $dir/error.log alert;\n"
		. ($ENV{TEST_NGINX_GLOBALS} // '') . "\n";

	$config =~ s/%%TEST_GLOBALS%%/$globals/;

	$t->write_file_expand("$name.conf", $config);
}

###############################################################################

1;

###############################################################################
