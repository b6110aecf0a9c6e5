package Test::Nginx;

# What the tests need of the interface of nginx-tests' Test::Nginx, for where
# that library is not installed; put first in @INC, the official one is used
# instead.  One deliberate difference: a missing feature or program is a
# failure here, not a skipped test.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use File::Path qw/ remove_tree /;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX qw/ WNOHANG /;
use Test::More qw//;
use Time::HiRes qw/ sleep time /;

our @EXPORT = qw/ http http_get http_head log_in log_out port /;
our @EXPORT_OK = qw/ http_content http_end http_start /;

our $NGINX = $ENV{TEST_NGINX_BINARY} // 'nginx';

# The way that handshakes are suspended in, in every configuration; without it
# the way is chosen by itself, as with the official library.
our $SUSPEND = $ENV{TEST_NGINX_SUSPEND};

# Generous: reached only by something that is broken.
use constant TIMEOUT => 10;

my %ports;

###############################################################################

sub new {
	my ($class) = @_;

	return bless {
		_alerts => 1,
		_daemons => [],
		_pid => $$,
		_testdir => tempdir('nginx-test-XXXXXXXXXX', TMPDIR => 1),
	}, $class;
}

sub DESTROY {
	my ($self) = @_;

	return if $self->{_pid} != $$;

	local ($?, $@);

	$self->stop();
	$self->stop_daemons();

	if (Test::More->builder->has_plan) {
		my $log = -e "$self->{_testdir}/error.log"
			? $self->read_file('error.log') : '';

		Test::More->builder->todo_start('alerts')
			unless $self->{_alerts};
		Test::More::is(join("\n", $log =~ /^.*\[alert\].*$/mg), '',
			'no alerts');
		Test::More->builder->todo_end() unless $self->{_alerts};

		Test::More::is(join("\n", $log =~ /^.*Sanitizer.*$/mg), '',
			'no sanitizer errors');
	}

	if ($ENV{TEST_NGINX_CATLOG}) {
		print STDERR $self->read_file('error.log');
	}

	remove_tree($self->{_testdir}) unless $ENV{TEST_NGINX_LEAVE};
}

# Requirements

sub has {
	my ($self, @features) = @_;

	foreach my $feature (@features) {
		die "no $feature available\n"
			unless $self->has_module($feature)
			or $self->has_feature($feature);
	}

	return $self;
}

sub has_module {
	my ($self, $feature) = @_;

	my %builtin = map { $_ => 1 }
		qw/ http fastcgi proxy rewrite scgi uwsgi /;
	my $args = $self->_version();

	return $args !~ /--without-(?:http_)?\Q$feature\E(?:_module)?(?!\S)/
		if $builtin{$feature};
	return $args =~ /TLS SNI support enabled/ if $feature eq 'sni';
	return $args =~ /--with-\Q$feature\E(?:_module)?(?![\w-])/;
}

sub has_feature {
	my ($self, $feature) = @_;

	return eval { require IO::Socket::SSL; 1 } if $feature eq 'socket_ssl';
	return 0;
}

sub has_version {
	my ($self, $need) = @_;

	my ($have) = $self->_version() =~ m!nginx version: nginx/([\d.]+)!;
	my $number = sub { sprintf '%03d%03d%03d', split /\./, shift };

	return $number->($have) ge $number->($need);
}

sub has_daemon {
	my ($self, $program) = @_;

	die "$program not found\n"
		unless grep { -x "$_/$program" } split /:/, $ENV{PATH};

	return $self;
}

sub _version {
	my ($self) = @_;

	return $self->{_version} //= `'$NGINX' -V 2>&1`
		|| Test::More::BAIL_OUT("no $NGINX binary found");
}

sub plan {
	my ($self, $tests) = @_;

	# DESTROY adds two: alerts and sanitizer errors
	Test::More::plan(tests => $tests + 2);

	return $self;
}

sub todo_alerts {
	my ($self) = @_;

	$self->{_alerts} = 0;

	return $self;
}

# nginx

sub run {
	my ($self) = @_;

	my $dir = $self->{_testdir};

	defined(my $pid = fork()) or die "fork() failed: $!\n";

	if ($pid == 0) {
		$self->_exec($self->_command());
	}

	$self->waitforfile("$dir/nginx.pid", $pid)
		or die "Can't start nginx:\n" . (-e "$dir/error.log"
			? $self->read_file('error.log') : '');

	$self->{_started} = $pid;

	return $self;
}

sub dump_config {
	my ($self) = @_;

	my $command = join ' ', map { "'$_'" } $self->_command(), '-T';

	return `$command 2>&1`;
}

sub _command {
	my ($self) = @_;

	return ($NGINX, '-p', "$self->{_testdir}/", '-c', 'nginx.conf',
		'-e', 'error.log');
}

sub reload {
	my ($self) = @_;

	kill 'HUP', $self->{_started} if $self->{_started};

	return $self;
}

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{_started} or return $self;

	kill 'QUIT', $pid;

	unless (reaped($pid)) {
		Test::More::diag('nginx did not exit gracefully');
		kill 'TERM', $pid;
		reaped($pid) or kill 'KILL', $pid;
	}

	return $self;
}

# Daemons

sub run_daemon {
	my ($self, $code, @args) = @_;

	defined(my $pid = fork()) or die "fork() failed: $!\n";

	if ($pid == 0) {
		if (ref $code) {
			$code->(@args);
			exit 0;
		}

		$self->_exec($code, @args);
	}

	push @{$self->{_daemons}}, $pid;

	return $self;
}

# What a server says of itself would drown what a test says.

sub _exec {
	my ($self, @command) = @_;

	open STDERR, '>>', "$self->{_testdir}/stderr.log";

	exec(@command) or POSIX::_exit(1);
}

sub stop_daemons {
	my ($self) = @_;

	while (defined(my $pid = shift @{$self->{_daemons}})) {
		kill 'TERM', $pid;
		reaped($pid) or kill 'KILL', $pid;
	}

	return $self;
}

sub reaped {
	my ($pid) = @_;

	return _poll(sub { waitpid($pid, WNOHANG) != 0 });
}

# Until a process that is to write it has failed.  One that ends without a fault has
# left that to its daemon.

sub waitforfile {
	my ($self, $file, $pid) = @_;

	my $failed;

	return _poll(sub {
		$failed ||= $pid && waitpid($pid, WNOHANG) == $pid && $? != 0;
		return -s $file || $failed;
	}) && -s $file;
}

sub waitforsocket {
	my ($self, $peer) = @_;

	return _poll(sub { IO::Socket::INET->new($peer) });
}

sub _poll {
	my ($done) = @_;

	for (my $end = time() + TIMEOUT; time() < $end; sleep 0.02) {
		return 1 if $done->();
	}

	return 0;
}

# Ports

# A number stands for a free port near it: the same one wherever this test
# says the number, another one in a test that runs beside it.  The port of the
# other protocol is held for as long as the test runs, as a lock that other
# tests see.

sub port {
	my ($number, %opts) = @_;

	my ($proto, $other) = $opts{udp} ? qw/ udp tcp / : qw/ tcp udp /;
	my $base = $number - $number % 500;

	for (1 .. 100) {
		last if $ports{$number};

		my $port = $base + int rand 500;
		my $lock = _bind($other, $port) or next;
		_bind($proto, $port) or next;

		$ports{$number} = { port => $port, socket => $lock };
	}

	my $found = $ports{$number} or die "no free port near $number\n";

	return $opts{socket} ? $found->{socket} : $found->{port};
}

sub _bind {
	my ($proto, $port) = @_;

	return IO::Socket::INET->new(
		Proto => $proto,
		LocalAddr => "127.0.0.1:$port",
		$proto eq 'tcp' ? (Listen => 1, ReuseAddr => 1) : (),
	);
}

# Files

sub testdir {
	my ($self) = @_;

	return $self->{_testdir};
}

sub read_file {
	my ($self, $name) = @_;

	open my $file, '<', "$self->{_testdir}/$name"
		or die "Can't open $name: $!\n";
	local $/;

	return scalar <$file> // '';
}

sub write_file {
	my ($self, $name, $content) = @_;

	open my $file, '>:raw', "$self->{_testdir}/$name"
		or die "Can't create $name: $!\n";
	print $file $content;
	close $file or die "Can't write $name: $!\n";

	return $self;
}

sub write_file_expand {
	my ($self, $name, $content) = @_;

	$content =~ s/%%TEST_GLOBALS%%/$self->test_globals()/ge;
	$content =~ s/%%TEST_GLOBALS_HTTP%%/$self->test_globals_http()/ge;
	$content =~ s/%%TESTDIR%%/$self->{_testdir}/g;
	$content =~ s/remote_ssl_session_cache(?! off| ?;|[^;]* suspend=)(?= )/$& suspend=$SUSPEND/g
		if defined $SUSPEND;
	$content =~ s/127\.0\.0\.1:(8\d{3})\b/'127.0.0.1:' . port($1)/ge;
	$content =~ s/%%PORT_(\d+)%%/port($1)/ge;
	$content =~ s/%%PORT_(\d+)_UDP%%/port($1, udp => 1)/ge;

	return $self->write_file($name, $content);
}

sub test_globals {
	my ($self) = @_;

	return "pid $self->{_testdir}/nginx.pid;\n"
		. "error_log $self->{_testdir}/error.log debug;\n"
		. ($ENV{TEST_NGINX_GLOBALS} // '');
}

sub test_globals_http {
	my ($self) = @_;

	my $dir = $self->{_testdir};

	return "root $dir;\naccess_log $dir/access.log;\n"
		. join('', map { "${_}_temp_path $dir/${_}_temp;\n" }
			'client_body', grep { $self->has_module($_) }
			qw/ fastcgi proxy scgi uwsgi /)
		. ($ENV{TEST_NGINX_GLOBALS_HTTP} // '');
}

###############################################################################

# HTTP over a plain connection

sub http_get {
	my ($uri, %extra) = @_;

	return http("GET $uri HTTP/1.0\r\nHost: localhost\r\n\r\n", %extra);
}

sub http_head {
	my ($uri, %extra) = @_;

	return http("HEAD $uri HTTP/1.0\r\nHost: localhost\r\n\r\n", %extra);
}

sub http {
	my ($request, %extra) = @_;

	my $socket = http_start($request, %extra) or return;

	return $extra{start} ? $socket : http_end($socket);
}

sub http_start {
	my ($request, %extra) = @_;

	return _in_time(sub {
		my $socket = $extra{socket} || IO::Socket::INET->new(
			PeerAddr => '127.0.0.1:' . port(8080), %extra)
			or die "connect() failed: $!\n";

		log_out($request);
		$socket->print($request);

		return $socket;
	});
}

sub http_end {
	my ($socket) = @_;

	my $response = _in_time(sub {
		local $/;
		return scalar $socket->getline() // '';
	});

	log_in($response) if defined $response;

	return $response;
}

sub http_content {
	my ($response) = @_;

	return ($response // '') =~ /\r?\n\r?\n(.*)/s ? $1 : undef;
}

sub _in_time {
	my ($action) = @_;

	my $result = eval {
		local $SIG{ALRM} = sub { die "timeout\n" };
		local $SIG{PIPE} = 'IGNORE';
		alarm(TIMEOUT);
		my $value = $action->();
		alarm(0);
		return $value;
	};

	alarm(0);
	log_in("failed: $@") if $@;

	return $result;
}

# What goes over the wire, with TEST_NGINX_VERBOSE

sub log_out {
	_log('>>', @_);
}

sub log_in {
	_log('<<', @_);
}

# For Test::Nginx::HTTP3.

sub log_core {
	_log(@_);
}

sub _log {
	my ($prefix, @text) = @_;

	return unless $ENV{TEST_NGINX_VERBOSE};

	my $text = join ' ', @text;
	$text =~ s/([^\x20-\x7e\n])/sprintf '\\x%02x', ord $1/ge;
	Test::More::note(map { "$prefix $_\n" } split /\n/, $text);
}

###############################################################################

1;

###############################################################################
