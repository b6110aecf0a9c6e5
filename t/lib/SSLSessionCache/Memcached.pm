package SSLSessionCache::Memcached;

# A real Memcached, and a client to look into it.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Store';

use IO::Select;
use IO::Socket::IP;
use IO::Socket::UNIX;
use Test::Nginx;

use SSLSessionCache::Wait;

###############################################################################

# Options: port as in Test::Nginx::port() (8379), or path of a unix socket in
# place of it, password: user:password,
# idle_timeout in seconds, args: more arguments of memcached.

sub new {
	my ($class, $t, %opts) = @_;

	$t->has_daemon('memcached');

	return $class->SUPER::new($t,
		idle_timeout => 0,
		args => [],
		%opts,
		port => port($opts{port} // 8379),
	)->start();
}

# Without its modern options a dump of the keys is complete.

sub start {
	my ($self) = @_;

	my ($t, $password) = @$self{qw/ t password /};

	$t->write_file('memcached.auth', "$password\n") if defined $password;

	$self->launch('memcached',
		defined $self->{path} ? ('-s', $self->{path})
			: ('-l', '127.0.0.1', '-p', $self->{port}),
		'-o', "no_modern,idle_timeout=$self->{idle_timeout}",
		$> == 0 ? ('-u', 'root') : (),
		defined $password
			? ('-Y', $t->testdir() . '/memcached.auth') : (),
		@{$self->{args}});

	wait_until(sub { eval { $self->_connect() } })
		or die "Can't start memcached\n";

	return $self;
}

sub closed {
	my ($self) = @_;

	delete $self->{socket};
}

# Looking into it

sub keys {
	my ($self) = @_;

	my %classes = map { /^STAT items:(\d+):/ ? ($1 => 1) : () }
		$self->_list('stats items');
	my @keys = sort map { /^ITEM (\S+)/ }
		map { $self->_list("stats cachedump $_ 0") } CORE::keys %classes;

	return @keys;
}

sub has_key {
	my ($self, $key) = @_;

	return $self->_ask("me $key") =~ /^ME /;
}

sub count {
	my ($self) = @_;

	return $self->_stat('curr_items');
}

sub value {
	my ($self, $key) = @_;

	my ($length) = $self->_ask("get $key") =~ /^VALUE .* (\d+)$/
		or return;
	my $value;

	read $self->{socket}, $value, $length;
	$self->_line() foreach 'end of the value', 'END';

	return $value;
}

sub put {
	my ($self, $key, $value) = @_;

	$self->_ask("set $key 0 0 " . length($value) . "\r\n$value");
}

sub remove {
	my ($self, $key) = @_;

	$self->_ask("delete $key");
}

sub clear {
	my ($self) = @_;

	$self->remove($_) foreach $self->keys();
}

# 1.6.18 shows a time that is to come as one that has passed.

sub ttl {
	my ($self, $key) = @_;

	return $self->_ask("me $key") =~ / exp=-?(\d+)/ ? $1 : undef;
}

sub persist {
	my ($self, $key) = @_;

	return $self->_ask("touch $key 0") eq 'TOUCHED';
}

my %stats = (
	get => [ 'cmd_get' ],
	put => [ 'cmd_set' ],
	delete => [ 'delete_hits', 'delete_misses' ],
);

sub calls {
	my ($self, $command) = @_;

	my $calls = 0;
	$calls += $self->_stat($_) foreach @{$stats{$command}};

	return $calls;
}

sub forget_calls {
	my ($self) = @_;

	$self->_ask('stats reset');
}

sub clients {
	my ($self) = @_;

	my @lines = $self->_list('stats conns');
	my $own = $self->{socket}->sockport();
	my @names = sort grep { !/:(?:$own|$self->{port})$/ }
		map { /^STAT \d+:addr (\S+)/ } @lines;

	return @names;
}

sub _stat {
	my ($self, $name) = @_;

	my ($value) = map { /^STAT \Q$name\E (\S+)/ } $self->_list('stats');

	return $value;
}

###############################################################################

# The first line of the answer.

sub _ask {
	my ($self, $command) = @_;

	# an idle connection may have been closed
	$self->closed() if $self->{socket} && IO::Select->new(
		$self->{socket})->can_read(0);

	my $socket = $self->{socket} //= $self->_connect();

	print $socket "$command\r\n";

	return $self->_line();
}

# All lines until END.

sub _list {
	my ($self, $command) = @_;

	my @lines = $self->_ask($command);

	push @lines, $self->_line() until $lines[-1] eq 'END';

	return @lines;
}

sub _line {
	my ($self) = @_;

	local $/ = "\r\n";
	my $line = readline($self->{socket})
		// die "memcached closed the connection\n";
	chomp $line;

	return $line;
}

sub _connect {
	my ($self) = @_;

	my $socket = defined $self->{path}
		? IO::Socket::UNIX->new(Peer => $self->{path})
		: IO::Socket::IP->new("127.0.0.1:$self->{port}");

	die "connect() to memcached failed: $!\n" unless $socket;

	if (defined $self->{password}) {
		my $credentials = $self->{password} =~ s/:/ /r;
		print $socket "set auth 0 0 " . length($credentials)
			. "\r\n$credentials\r\n";
		readline $socket;
	}

	return $socket;
}

###############################################################################

1;

###############################################################################
