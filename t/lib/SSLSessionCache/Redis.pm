package SSLSessionCache::Redis;

# A real Redis server, and a client to look into it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Store';

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::IP;
use Test::Nginx;

use SSLSessionCache::Wait;

our @EXPORT_OK = qw/ replicated /;

###############################################################################

# Options: port as in Test::Nginx::port() (8379), bind (127.0.0.1), password,
# idle_timeout in seconds, config: a file that it may write to, args: more
# arguments of redis-server.

sub new {
	my ($class, $t, %opts) = @_;

	$t->has_daemon('redis-server');

	return $class->SUPER::new($t,
		bind => '127.0.0.1',
		idle_timeout => 0,
		args => [],
		%opts,
		port => port($opts{port} // 8379),
	)->start();
}

sub start {
	my ($self) = @_;

	my $dir = $self->{t}->testdir();

	$self->launch('redis-server',
		defined $self->{config} ? $self->{config} : (),
		'--port', $self->{port}, '--bind', $self->{bind},
		'--save', '', '--appendonly', 'no', '--dir', $dir,
		'--logfile', "$dir/redis.log",
		'--timeout', $self->{idle_timeout},
		defined $self->{password}
			? ('--requirepass', $self->{password}) : (),
		@{$self->{args}});

	wait_until(sub { eval { $self->command('PING') } })
		or die "Can't start redis-server\n";

	return $self;
}

sub closed {
	my ($self) = @_;

	delete $self->{socket};
}

# Looking into it

sub keys {
	my ($self) = @_;

	my @keys = sort @{$self->command('KEYS', '*')};

	return @keys;
}

sub has_key {
	my ($self, $key) = @_;

	return $self->command('EXISTS', $key);
}

sub count {
	my ($self) = @_;

	return $self->command('DBSIZE');
}

sub value {
	my ($self, $key) = @_;

	return $self->command('GET', $key);
}

sub put {
	my ($self, $key, $value) = @_;

	$self->command('SET', $key, $value);
}

sub remove {
	my ($self, $key) = @_;

	$self->command('DEL', $key);
}

sub clear {
	my ($self) = @_;

	$self->command('FLUSHALL');
}

sub ttl {
	my ($self, $key) = @_;

	return $self->command('TTL', $key);
}

sub persist {
	my ($self, $key) = @_;

	return $self->command('PERSIST', $key);
}

my %commands = (get => 'get', put => 'setex', delete => 'del');

sub calls {
	my ($self, $command) = @_;

	return $self->command('INFO', 'commandstats')
		=~ /^cmdstat_$commands{$command}:calls=(\d+)/m ? $1 : 0;
}

sub forget_calls {
	my ($self) = @_;

	$self->command('CONFIG', 'RESETSTAT');
}

sub clients {
	my ($self) = @_;

	my @ids = sort map { / cmd=client/ ? () : /^id=(\d+)/ }
		split /\n/, $self->command('CLIENT', 'LIST');

	return @ids;
}

# Whether these replicas have all that their master has.

sub replicated {
	my ($master, @replicas) = @_;

	my $info = $master->command('INFO', 'replication');
	my ($offset) = $info =~ /^master_repl_offset:(\d+)/m;
	my @online = $info =~ /^slave\d+:.*,state=online,/mg;

	return @online == @replicas && !grep { $_->command('INFO', 'replication')
		!~ /^master_link_status:up.*^slave_repl_offset:(\d+)/ms
			|| $1 < $offset } @replicas;
}

# The reply: a string, a number, undef, or a list; dies of an error reply.

sub command {
	my ($self, @args) = @_;

	return ($self->commands([ @args ]))[0];
}

# The replies of several, which are sent at once.

sub commands {
	my ($self, @commands) = @_;

	# an idle connection may have been closed
	$self->closed() if $self->{socket} && IO::Select->new(
		$self->{socket})->can_read(0);

	my $socket = $self->{socket} //= $self->_connect();

	print $socket join '', map { _encode(@$_) } @commands;

	my @replies = map { [ eval { _decode($socket) }, $@ ] } @commands;
	my ($error) = grep { $_ } map { $_->[-1] } @replies;

	die $error if $error;

	return map { $_->[0] } @replies;
}

sub _connect {
	my ($self) = @_;

	my $socket = IO::Socket::IP->new(
		PeerHost => $self->{bind},
		PeerPort => $self->{port},
	)
		or die "connect() to redis-server failed: $@\n";

	if (defined $self->{password}) {
		print $socket _encode('AUTH', $self->{password});
		_decode($socket);
	}

	return $socket;
}

sub _encode {
	my (@args) = @_;

	return '*' . @args . "\r\n"
		. join '', map { '$' . length($_) . "\r\n$_\r\n" } @args;
}

sub _decode {
	my ($socket) = @_;

	local $/ = "\r\n";
	my $line = <$socket> // die "redis-server closed the connection\n";
	chomp $line;

	my ($type, $rest) = $line =~ /^(.)(.*)/s;

	die "redis: $rest\n" if $type eq '-';
	return $rest if $type =~ /[+:]/;
	return undef if $rest < 0;
	return [ map { _decode($socket) } 1 .. $rest ] if $type eq '*';

	read $socket, my $value, $rest + 2;

	return substr $value, 0, $rest;
}

###############################################################################

1;

###############################################################################
