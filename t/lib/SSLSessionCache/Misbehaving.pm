package SSLSessionCache::Misbehaving;

# A store of a test's own that does what it should, but for the faults that it
# is told.  It speaks the protocol of Redis or of Memcached, as the test says.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use Socket qw/ IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY /;
use Time::HiRes qw/ sleep /;

use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

# What each verb is answered with.

my %replies = (
	redis => {
		auth => "+OK\r\n",
		client => "+OK\r\n",
		ping => "+PONG\r\n",
		put => "+OK\r\n",
		delete => ":1\r\n",
		present => "\$-1\r\n",
		missing => "\$-1\r\n",
		found => sub {
			my ($key, $value) = @_;
			return '$' . length($value) . "\r\n$value\r\n";
		},
	},
	memcached => {
		auth => "STORED\r\n",
		ping => "VERSION 1.6.18\r\n",
		put => "STORED\r\n",
		delete => "DELETED\r\n",
		present => "NOT_STORED\r\n",
		missing => "END\r\n",
		found => sub {
			my ($key, $value) = @_;
			return "VALUE $key 0 " . length($value)
				. "\r\n$value\r\nEND\r\n";
		},
	},
);

my $replies = $replies{store_type()};

# What an old Redis says of what it does not know.

my $arguments = "-ERR wrong number of arguments for 'set' command\r\n";
my $unknown = "-ERR unknown command 'PERSIST'\r\n";

###############################################################################

# Options: port as in Test::Nginx::port() (8379), bind (127.0.0.1), redis: as
# which Redis it adds records, "2.0", "2.6.11" or "7.0" (the default).

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t, port => 8379, %opts);

	my ($listener, $control) = ($self->listener(), $self->control());

	return $self->launch(sub { _run($listener, $control, $opts{redis}) });
}

# The next command of this verb, "auth", "ping", "get", "put", "add" or "delete",
# of a Redis "client", of an old one "setnx", "expire" or "persist", or the next
# connection, "accept", meets this fault, and so do more of them, if it is said
# how many times:
#
# cut N: so many bytes of the reply, and the others after a while
# close N, reset N: so many bytes of the reply, and the end of the connection
# join N: the replies of so many commands in one write
# instead BYTES, before BYTES, after BYTES: other bytes, or more of them
# endless BYTES: those in place of the reply, again and again
# late N: the reply, after so many seconds, in which nobody else is answered
# silence: no reply any more
# hangup: the end of the connection, and of each later one at this verb

sub fault {
	my ($self, @fault) = @_;

	$self->tell('fault', _packed(@fault));
}

# Bytes that nobody asked for, over all connections.

sub say {
	my ($self, $bytes) = @_;

	$self->tell('say', unpack 'H*', $bytes);
}

# Closes all connections, and has the next ones meet a fault.

sub drop {
	my ($self, @fault) = @_;

	$self->tell('drop', _packed(@fault));
}

sub _packed {
	my ($verb, $fault, $argument, $times) = @_;

	return ($verb, $fault, $times // 1, unpack 'H*', $argument // '');
}

# Sessions of the server on port 8443, once they are there: those that are made
# before nginx has connected are not stored.

sub made {
	my ($self, $version, $count) = @_;

	my @made;

	wait_until(sub {
		@made = map { tls_get(8443, version => $version)->{session} }
			1 .. $count;
		return $self->calls('put') >= $count;
	});
	$self->wait_id(session_id($_)) foreach @made;

	return @made;
}

# The record of a session, once it is there.

sub wait_id {
	my ($self, $id) = @_;

	my $key = SSLSessionCache::Store->key($id);
	my $value = wait_until(sub { $self->tell('value', $key) });

	return pack 'H*', $value;
}

# The whole reply to a lookup of a session.

sub reply {
	my ($self, $id) = @_;

	return $replies->{found}->(SSLSessionCache::Store->key($id),
		$self->wait_id($id));
}

# How often a verb was called, and "accept".

sub calls {
	my ($self, $verb) = @_;

	return $self->tell('calls', $verb);
}

###############################################################################

my (%values, %calls, %faults, %joined);

my $redis;

sub _run {
	(my ($listener, $control), $redis) = @_;

	$redis //= '7.0';

	local $SIG{PIPE} = 'IGNORE';

	my $select = IO::Select->new($listener, $control);
	my %buffers;

	my $end = sub {
		my ($socket) = @_;
		$select->remove($socket);
		delete $buffers{$socket};
		close $socket;
	};

	while (1) {
		# what was sent before a fault is asked for does not meet it
		my @ready = $select->can_read();
		foreach my $socket ((grep { $_ != $control } @ready),
			grep { $_ == $control } @ready)
		{
			if ($socket == $control) {
				chomp(my $line = <$control> // exit);
				my @clients = grep { $_ != $listener && $_ != $control }
					$select->handles();
				print $control _control($end, \@clients,
					split ' ', $line), "\n";

			} elsif ($socket == $listener) {
				my $client = $listener->accept() or next;
				setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
				$select->add($client);
				$buffers{$client} = '';
				_answer($client, 'accept', '') or $end->($client);

			} elsif (defined $buffers{$socket}) {
				sysread $socket, $buffers{$socket}, 65536,
					length $buffers{$socket} or $end->($socket);

				while (my @command = _command(\$buffers{$socket})) {
					_answer($socket, $command[0], _execute(@command))
						or $end->($socket), last;
				}
			}
		}
	}
}

sub _control {
	my ($end, $clients, $word, @args) = @_;

	if ($word eq 'fault' || $word eq 'drop') {
		my ($verb, $fault, $times, $argument) = @args;
		$faults{$verb} = [ $fault, pack('H*', $argument // ''), $times ];

		$end->($_) foreach $word eq 'drop' ? @$clients : ();

	} elsif ($word eq 'say') {
		syswrite $_, pack 'H*', $args[0] foreach @$clients;

	} elsif ($word eq 'value') {
		return unpack 'H*', $values{$args[0]} // '';

	} elsif ($word eq 'calls') {
		return $calls{$args[0]} // 0;
	}

	return 'ok';
}

# Takes a command off the buffer: verb, key, value.

sub _command {
	my ($buffer) = @_;

	return store_type() eq 'redis' ? _redis($buffer) : _memcached($buffer);
}

sub _redis {
	my ($buffer) = @_;

	return unless defined $$buffer && $$buffer =~ /\G\*(\d+)\r\n/g;

	my @words;

	foreach (1 .. $1) {
		return unless $$buffer =~ /\G\$(\d+)\r\n/g;

		my $start = pos $$buffer;
		return if length $$buffer < $start + $1 + 2;

		push @words, substr $$buffer, $start, $1;
		pos($$buffer) = $start + $1 + 2;
	}

	substr $$buffer, 0, pos $$buffer, '';

	my %verbs = (SETEX => 'put', SET => 'add', DEL => 'delete');
	my $verb = $verbs{$words[0]} // lc $words[0];

	return ($verb, @words[1, $verb eq 'add' ? 2 : -1]);
}

sub _memcached {
	my ($buffer) = @_;

	return unless defined $$buffer
		&& $$buffer =~ /^(\w+)(?: (\S+))?(?: \d+ -?\d+ (\d+))?\r\n/;

	my ($word, $key, $length, $start) = ($1, $2, $3, $+[0]);
	my $value;

	if (defined $length) {
		return if length $$buffer < $start + $length + 2;

		$value = substr $$buffer, $start, $length;
		$start += $length + 2;
	}

	substr $$buffer, 0, $start, '';

	my %verbs = (set => 'put', version => 'ping');

	return ($key eq 'auth' ? 'auth' : 'put', $key, $value) if $word eq 'set';
	return ($verbs{$word} // $word, $key);
}

sub _execute {
	my ($verb, $key, $value) = @_;

	if ($verb eq 'get') {
		return defined $values{$key}
			? $replies->{found}->($key, $values{$key})
			: $replies->{missing};
	}

	return _add($verb, $key, $value) if $verb =~ /^(add|setnx)$/;
	return exists $values{$key} ? ":1\r\n" : ":0\r\n" if $verb eq 'expire';
	return $redis eq '2.0' ? $unknown : ":0\r\n" if $verb eq 'persist';

	$values{$key} = $value if $verb eq 'put';
	delete $values{$key} if $verb eq 'delete';

	return $replies->{$verb};
}

# A Redis before 2.2 deletes what has a time to live before it writes to it, and
# one before 2.6.12 has no SET with EX and NX.

sub _add {
	my ($verb, $key, $value) = @_;

	return $arguments if $verb eq 'add' && $redis ne '7.0';

	my $is_first = !defined $values{$key} || $redis eq '2.0';
	$values{$key} = $value if $is_first;

	return $is_first ? ":1\r\n" : ":0\r\n" if $verb eq 'setnx';
	return $is_first ? $replies->{put} : $replies->{present};
}

# False where the connection is to be closed.

sub _answer {
	my ($socket, $verb, $reply) = @_;

	$calls{$verb}++;

	my ($fault, $argument, $times) = @{delete $faults{$verb} // [ 'none' ]};

	$faults{$verb} = [ $fault, $argument, $times - 1 ] if ($times // 1) > 1;

	if ($fault eq 'cut') {
		syswrite $socket, substr $reply, 0, $argument, '';
		sleep 0.01;

	} elsif ($fault eq 'close' || $fault eq 'reset') {
		syswrite $socket, substr $reply, 0, $argument;
		setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0
			if $fault eq 'reset';
		return 0;

	} elsif ($fault eq 'join') {
		$joined{$socket} .= $reply;
		$faults{$verb} = [ 'join', $argument - 1 ] if $argument > 1;
		return 1 if $argument > 1;
		$reply = delete $joined{$socket};

	} elsif ($fault eq 'instead') {
		$reply = $argument;

	} elsif ($fault eq 'before') {
		$reply = $argument . $reply;

	} elsif ($fault eq 'after') {
		$reply .= $argument;

	} elsif ($fault eq 'endless') {
		1 while syswrite $socket, $argument x 1000;
		return 0;

	} elsif ($fault eq 'late') {
		sleep $argument;

	} elsif ($fault eq 'hangup') {
		$faults{$verb} = [ 'hangup' ];
		return 0;

	} elsif ($fault eq 'silence') {
		$faults{$_} = [ 'silence' ] foreach 'get', 'ping';
		return 1;
	}

	syswrite $socket, $reply;

	return 1;
}

###############################################################################

1;

###############################################################################
