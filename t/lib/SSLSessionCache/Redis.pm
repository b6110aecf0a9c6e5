package SSLSessionCache::Redis;

# A real Redis server, and a client to look into it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Store';

use IO::Select;
use IO::Socket::IP;
use Test::Nginx;

use SSLSessionCache::Wait;

###############################################################################

# Options: port as in Test::Nginx::port() (8379), bind (127.0.0.1), password,
# idle_timeout in seconds, args: more arguments of redis-server.

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

# The reply: a string, a number, undef, or a list; dies of an error reply.

sub command {
	my ($self, @args) = @_;

	# an idle connection may have been closed
	$self->closed() if $self->{socket} && IO::Select->new(
		$self->{socket})->can_read(0);

	my $socket = $self->{socket} //= $self->_connect();

	print $socket _encode(@args);

	return _decode($socket);
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
