package SSLSessionCache::Redis;

# A real Redis server, and a client to look into it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use IO::Socket::IP;
use Test::Nginx;

use SSLSessionCache::Wait;

use constant PREFIX => 'sslsessioncache:';

###############################################################################

# Options: port as in Test::Nginx::port() (8379), bind (127.0.0.1), password,
# args: more arguments of redis-server.

sub new {
	my ($class, $t, %opts) = @_;

	return $class->SUPER::new($t,
		bind => '127.0.0.1',
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
		defined $self->{password}
			? ('--requirepass', $self->{password}) : (),
		@{$self->{args}});

	wait_until(sub { eval { $self->command('PING') } })
		or die "Can't start redis-server\n";

	return $self;
}

sub stop {
	my ($self) = @_;

	delete $self->{socket};

	return $self->end('TERM');
}

sub crash {
	my ($self) = @_;

	delete $self->{socket};

	return $self->end('KILL');
}

# Holds the server still: it is connected, and answers nothing.

sub freeze {
	my ($self) = @_;

	return $self->signal('STOP');
}

sub thaw {
	my ($self) = @_;

	return $self->signal('CONT');
}

# Looking into it

sub key {
	my ($self, $id) = @_;

	return PREFIX . unpack 'H*', $id;
}

sub keys {
	my ($self) = @_;

	my @keys = sort @{$self->command('KEYS', '*')};

	return @keys;
}

sub wait_keys {
	my ($self, $count) = @_;

	wait_until(sub { $self->command('DBSIZE') == $count });

	return $self->keys();
}

# A session is stored when the handshake is over: the client may know first.

sub wait_id {
	my ($self, $id) = @_;

	return wait_until(sub { $self->command('EXISTS', $self->key($id)) }, 2);
}

# How often a command was called since the last forget_calls().

sub calls {
	my ($self, $command) = @_;

	return $self->command('INFO', 'commandstats')
		=~ /^cmdstat_$command:calls=(\d+)/m ? $1 : 0;
}

sub wait_calls {
	my ($self, $command, $count) = @_;

	wait_until(sub { $self->calls($command) >= $count });

	return $self->calls($command);
}

sub forget_calls {
	my ($self) = @_;

	return $self->command('CONFIG', 'RESETSTAT');
}

# Connections of others: lines of CLIENT LIST.

sub clients {
	my ($self) = @_;

	my @lines = grep { !/ cmd=client/ }
		split /\n/, $self->command('CLIENT', 'LIST');

	return @lines;
}

# The reply: a string, a number, undef, or a list; dies of an error reply.

sub command {
	my ($self, @args) = @_;

	# an idle connection may have been closed
	delete $self->{socket} if $self->{socket} && IO::Select->new(
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
