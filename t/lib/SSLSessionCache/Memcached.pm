package SSLSessionCache::Memcached;

# A real Memcached server, and a client to look into it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::Nginx;

use SSLSessionCache::Wait;

use constant PREFIX => 'sslsessioncache:';

###############################################################################

# Options: port as in Test::Nginx::port() (8381), path of a unix socket in
# place of it, user and password to send, args: more arguments of memcached.

sub new {
	my ($class, $t, %opts) = @_;

	return $class->SUPER::new($t,
		args => [],
		%opts,
		port => port($opts{port} // 8381),
	)->start();
}

sub start {
	my ($self) = @_;

	$self->launch('memcached', '-u', scalar getpwuid($>), '-m', 16,
		defined $self->{path}
			? ('-s', $self->{path}) : ('-l', '127.0.0.1', '-p', $self->{port}),
		@{$self->{args}});

	wait_until(sub { eval { $self->_connect() } })
		or die "Can't start memcached\n";

	return $self;
}

sub stop {
	my ($self) = @_;

	delete $self->{socket};

	return $self->end('TERM');
}

# Looking into it

sub key {
	my ($self, $id) = @_;

	return PREFIX . unpack 'H*', $id;
}

# A session is stored when the handshake is over: the client may know first.

sub wait_id {
	my ($self, $id) = @_;

	return wait_until(sub { defined $self->get($self->key($id)) }, 2);
}

sub get {
	my ($self, $key) = @_;

	my $line = $self->_command("get $key");
	my ($length) = $line =~ /^VALUE \S+ \d+ (\d+)/ or return undef;

	read $self->{socket}, my $value, $length + 2;
	readline $self->{socket};

	return substr $value, 0, $length;
}

sub stats {
	my ($self) = @_;

	my %stats;

	for (my $line = $self->_command('stats'); $line =~ /^STAT (\S+) (.*)/;
		$line = $self->_line())
	{
		$stats{$1} = $2;
	}

	return \%stats;
}

sub _command {
	my ($self, $command) = @_;

	$self->{socket} //= $self->_connect();
	$self->{socket}->print("$command\r\n");

	return $self->_line();
}

sub _line {
	my ($self) = @_;

	local $/ = "\r\n";
	my $line = readline $self->{socket}
		// die "memcached closed the connection\n";
	chomp $line;

	return $line;
}

sub _connect {
	my ($self) = @_;

	my $socket = defined $self->{path}
		? IO::Socket::UNIX->new(Peer => $self->{path})
		: IO::Socket::INET->new("127.0.0.1:$self->{port}");

	die "connect() to memcached failed: $!\n" unless $socket;

	if (defined $self->{password}) {
		my $login = "$self->{user} $self->{password}";
		$socket->print('set auth 0 0 ', length $login, "\r\n$login\r\n");
		readline $socket;
	}

	return $socket;
}

###############################################################################

1;

###############################################################################
