package SSLSessionCache::Resp;

# Servers of a test's own that speak the protocol of Redis, in one process: the
# base of what stands for a cluster or a Sentinel.  Its class says what a command
# is answered with, a test what goes wrong.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Socket qw/ IPPROTO_TCP TCP_NODELAY /;
use Test::Nginx;

our @EXPORT_OK = qw/ resp /;

###############################################################################

# Options: ports as in Test::Nginx::port(), of one node each.

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t, faults => {}, calls => {}, %opts);
	my @listeners = map { local $self->{port} = $_; $self->listener() }
		@{$self->{ports}};
	$self->{real_ports} = [ map { port($_) } @{$self->{ports}} ];

	my $control = $self->control();

	return $self->launch(sub { $self->_run($control, @listeners) });
}

# So many of the next commands of this name, one by default and all with -1, at
# a node or at any ('*'), meet a fault.  The name has two words where the command
# is "CLUSTER" or "SENTINEL".
#
# instead BYTES, after BYTES: other bytes, or more of them
# silence: no answer
# close: the end of the connection

sub fault {
	my ($self, $node, $name, $fault, $bytes, $times) = @_;

	return $self->ask('set_fault', $node, $name, $fault, $bytes // '',
		$times // 1);
}

# How often a command of this name came to a node, and "accept".

sub calls {
	my ($self, $node, $name) = @_;

	return $self->ask('count_calls', $node, $name);
}

# Takes a node away: its connections end, and it accepts no others.  Or has it
# back.

sub stop_node {
	my ($self, $node) = @_;

	return $self->ask('close_node', $node);
}

sub start_node {
	my ($self, $node) = @_;

	return $self->ask('open_node', $node);
}

# Calls a method in the process of the servers.

sub ask {
	my ($self, $method, @args) = @_;

	my $json = JSON::PP->new()->ascii();

	return $json->decode($self->tell($json->encode([ $method, @args ])))->[0];
}

# A reply: a string, a list, nothing, or, by reference, a number.

sub resp {
	my ($value) = @_;

	return "\$-1\r\n" unless defined $value;
	return ":$$value\r\n" if ref $value eq 'SCALAR';
	return '*' . @$value . "\r\n" . join '', map { resp($_) } @$value
		if ref $value;
	return '$' . length($value) . "\r\n$value\r\n";
}

###############################################################################

# What follows runs in the process of the servers.  A class gives answer(CLIENT,
# WORDS): the bytes of the reply, or undef to close the connection.

sub set_fault {
	my ($self, $node, $name, @fault) = @_;

	$self->{faults}{"$node $name"} = [ @fault ];

	return 1;
}

sub count_calls {
	my ($self, $node, $name) = @_;

	return $self->{calls}{"$node $name"} // 0;
}

sub close_node {
	my ($self, $node) = @_;

	$self->_end($_) foreach grep { $_->{node} == $node }
		values %{$self->{clients}};

	my $listener = delete $self->{listeners}{$node} or return 0;
	$self->{select}->remove($listener);
	close $listener;

	return 1;
}

sub open_node {
	my ($self, $node) = @_;

	local $self->{port} = $self->{ports}[$node];
	$self->_listen($node, $self->listener());

	return 1;
}

# To a client that did not ask.

sub push_to {
	my ($self, $client, $bytes) = @_;

	syswrite $client->{socket}, $bytes;
}

sub _run {
	my ($self, $control, @listeners) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $select = $self->{select} = IO::Select->new($control);
	my $json = JSON::PP->new()->ascii();

	$self->_listen($_, $listeners[$_]) foreach 0 .. $#listeners;
	@listeners = ();

	while (1) {
		foreach my $socket ($select->can_read()) {
			my ($node) = grep { $self->{listeners}{$_} == $socket }
				keys %{$self->{listeners}};

			if ($socket == $control) {
				my ($method, @args) = @{$json->decode(<$control>
					// exit)};
				print $control $json->encode(
					[ $self->$method(@args) ]), "\n";

			} elsif (defined $node) {
				$self->_accept($node);

			} elsif (my $client = $self->{clients}{$socket}) {
				$self->_read($client);
			}
		}
	}
}

sub _listen {
	my ($self, $node, $listener) = @_;

	$self->{listeners}{$node} = $listener;
	$self->{select}->add($listener);
}

sub _accept {
	my ($self, $node) = @_;

	my $socket = $self->{listeners}{$node}->accept() or return;

	setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
	$self->{select}->add($socket);
	$self->{clients}{$socket} = { socket => $socket, node => $node,
		buffer => '' };
	$self->{calls}{"$node accept"}++;
}

sub _read {
	my ($self, $client) = @_;

	sysread $client->{socket}, $client->{buffer}, 65536,
		length $client->{buffer} or return $self->_end($client);

	while (my @words = _command(\$client->{buffer})) {
		return $self->_end($client)
			unless $self->_serve($client, @words);
	}
}

# False where the connection is to be closed.

sub _serve {
	my ($self, $client, @words) = @_;

	my $name = uc $words[0];
	$name .= ' ' . uc $words[1]
		if $name =~ /^(?:CLUSTER|SENTINEL)$/ && @words > 1;

	$self->{calls}{"$client->{node} $name"}++;

	my ($fault, $bytes) = $self->_fault($client->{node}, $name);

	return 0 if $fault eq 'close';
	return 1 if $fault eq 'silence';

	my $reply = $fault eq 'instead' ? $bytes
		: $self->answer($client, $name, @words);

	return 0 unless defined $reply;

	syswrite $client->{socket}, $fault eq 'after' ? $reply . $bytes : $reply;

	return 1;
}

sub _fault {
	my ($self, $node, $name) = @_;

	my ($place) = grep { $self->{faults}{$_} } "$node $name", "* $name"
		or return 'none';
	my ($fault, $bytes, $times) = @{$self->{faults}{$place}};

	$times--;
	$self->{faults}{$place}[2] = $times;
	delete $self->{faults}{$place} if $times == 0;

	return ($fault, $bytes);
}

sub _end {
	my ($self, $client) = @_;

	$self->{select}->remove($client->{socket});
	delete $self->{clients}{$client->{socket}};
	close $client->{socket};
}

# Takes a command off the buffer.

sub _command {
	my ($buffer) = @_;

	return unless $$buffer =~ /\G\*(\d+)\r\n/g;

	my @words;

	foreach (1 .. $1) {
		return unless $$buffer =~ /\G\$(\d+)\r\n/g;

		my $start = pos $$buffer;
		return if length $$buffer < $start + $1 + 2;

		push @words, substr $$buffer, $start, $1;
		pos($$buffer) = $start + $1 + 2;
	}

	substr $$buffer, 0, pos $$buffer, '';

	return @words;
}

###############################################################################

1;

###############################################################################
