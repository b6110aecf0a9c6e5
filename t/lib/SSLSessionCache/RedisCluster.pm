package SSLSessionCache::RedisCluster;

# A real Redis Cluster: masters that have the slots, replicas of each, and what
# operators do to them.  A node is a SSLSessionCache::Redis.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::RedisGroup';

use List::Util qw/ first min sum0 /;
use Test::Nginx;

use SSLSessionCache::Cluster qw/ slot_of /;
use SSLSessionCache::Redis qw/ replicated /;
use SSLSessionCache::Wait;

use constant SLOTS => 16384;

# Seconds; reached only by something that is broken.
use constant READY => 30;

###############################################################################

# Options: masters (3), replicas of each (1), port of the first node as in
# Test::Nginx::port() (8371), the others follow; sizes: how many slots each
# master has (as many each), timeout in ms after which a node is taken for failed
# (1000), password of all nodes, user: the rules of an ACL for a user of the name
# nginx, args: more arguments of redis-server, tls: the name of a certificate for
# nodes that take TLS as well, at tls_port().

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t,
		args => [],
		masters => 3,
		port => 8371,
		replicas => 1,
		timeout => 1000,
		%opts,
	);

	$self->_start_node() foreach 1 .. $self->{masters}
		* (1 + $self->{replicas});
	$self->_join();

	return $self;
}

# Nodes that are alive, the masters first where none has failed.

sub nodes {
	my ($self) = @_;

	return $self->_alive(@{$self->{nodes}});
}

# Those with slots.

sub masters {
	my ($self) = @_;

	my %slots = $self->_slots();

	return grep { $slots{$_->{id}} } $self->nodes();
}

sub replicas {
	my ($self, $master) = @_;

	my %master = map { $_->{id} => $_->{master} } $self->_table();

	return grep { $master{$_->{id}} eq $master->{id} } $self->nodes();
}

# The node that has the slot of a key.

sub master_of {
	my ($self, $key) = @_;

	my $slot = slot_of($key);
	my %slots = $self->_slots();

	return first {
		grep { $_->[0] <= $slot && $slot <= $_->[1] } @{$slots{$_->{id}}}
	} @{$self->{nodes}};
}

# The number of the master that it was in the beginning.

sub shard_of {
	my ($self, $key) = @_;

	my $slot = slot_of($key);

	return first { $slot < $self->{ends}[$_] } 0 .. $self->{masters} - 1;
}

# How many slots a node has.

sub size {
	my ($self, $node) = @_;

	my %slots = $self->_slots();

	return sum0(map { $_->[1] - $_->[0] + 1 } @{$slots{$node->{id}}});
}

# Something that all nodes are told.

sub command {
	my ($self, @words) = @_;

	$_->command(@words) foreach $self->nodes();
}

# All nodes know who has which slots, and that none is without.

sub wait_ok {
	my ($self) = @_;

	return wait_until(sub { eval { $self->_agrees() } }, READY);
}

# All replicas have what their masters have now.

sub wait_replicated {
	my ($self) = @_;

	return wait_until(sub {
		!grep { !replicated($_, $self->replicas($_)) } $self->masters();
	}, READY);
}

###############################################################################

# What happens to a cluster

sub revive {
	my ($self, @nodes) = @_;

	foreach my $node (@nodes) {
		$node->start();
		$node->{dead} = 0;
	}

	return $self->wait_ok();
}

# A failover that is asked for: the replica, once it is one, is the master then.

sub failover {
	my ($self, $replica) = @_;

	wait_until(sub { $self->_follows($replica) }, READY) or return 0;
	$replica->command('CLUSTER', 'FAILOVER');

	return $self->wait_promoted($replica);
}

# A failover by itself, after the death of a node's master.

sub wait_promoted {
	my ($self, $replica) = @_;

	return wait_until(sub { eval { $self->size($replica) } }, READY)
		&& $self->wait_ok();
}

# Moves the first slots of a node, with all that lies in them: at once, or step
# by step.

sub move_slots {
	my ($self, $from, $to, $count) = @_;

	my $move = $self->begin_move($from, $to, $count);

	$self->move_keys($move);
	$self->end_move($move);
}

# Clients are sent on from here for keys that are not there any more (ASK).

sub begin_move {
	my ($self, $from, $to, $count) = @_;

	my %slots = $self->_slots();
	my @slots = map { $_->[0] .. $_->[1] } @{$slots{$from->{id}}};

	die "a node with fewer slots\n" if @slots < $count;

	my @moved = @slots[0 .. $count - 1];

	_set_slots($to, \@moved, 'IMPORTING', $from->{id});
	_set_slots($from, \@moved, 'MIGRATING', $to->{id});

	return { from => $from, to => $to, slots => \@moved };
}

# The keys, or so many of them; how many they were.

sub move_keys {
	my ($self, $move, $count) = @_;

	my ($from, $to) = @$move{qw/ from to /};
	my @keys = $self->keys_to_move($move);

	$#keys = min($#keys, $count - 1) if defined $count;

	my $port = $self->_public_port($to);
	my @auth = defined $self->{password} ? ('AUTH', $self->{password}) : ();

	$from->commands(map { [ 'MIGRATE', '127.0.0.1', $port, '', 0, 5000,
		@auth, 'KEYS', $_ ] } @keys);

	return scalar @keys;
}

sub keys_to_move {
	my ($self, $move) = @_;

	return map { @$_ } $move->{from}->commands(map {
		[ 'CLUSTER', 'GETKEYSINSLOT', $_, 1000 ] } @{$move->{slots}});
}

sub end_move {
	my ($self, $move) = @_;

	my ($from, $to, $slots) = @$move{qw/ from to slots /};
	my @others = grep { $_ != $from && $_ != $to } $self->masters();

	1 while $self->move_keys($move);
	_set_slots($_, $slots, 'NODE', $to->{id}) foreach $to, $from, @others;

	return $self->wait_ok();
}

# A node more, without slots.

sub add_node {
	my ($self) = @_;

	my ($known) = $self->nodes();
	my $node = $self->_start_node();

	$self->_meet($known, $node);
	$self->_wait_known();
	$self->wait_ok();

	return $node;
}

# Its slots go to the other masters; it runs on, alone.

sub remove_node {
	my ($self, $node) = @_;

	my @others = grep { $_ != $node } $self->masters();
	my $share = int($self->size($node) / @others) + 1;

	while (my $size = $self->size($node)) {
		my $to = shift @others;
		$self->move_slots($node, $to, min($share, $size));
	}

	@{$self->{nodes}} = grep { $_ != $node } @{$self->{nodes}};
	$self->command('CLUSTER', 'FORGET', $node->{id});

	return $self->wait_ok();
}

###############################################################################

# What lies in it

sub keys {
	my ($self) = @_;

	my @keys = sort map { $_->keys() } $self->masters();

	return @keys;
}

sub count {
	my ($self) = @_;

	return sum0(map { $_->count() } $self->masters());
}

# Also of a slot that is moved just now.

sub has_key {
	my ($self, $key) = @_;

	my $has = eval { $self->master_of($key)->has_key($key) };

	return $has // scalar grep { @{$_->command('KEYS', $key)} } $self->masters();
}

sub value {
	my ($self, $key) = @_;

	return $self->master_of($key)->value($key);
}

sub put {
	my ($self, $key, $value) = @_;

	$self->master_of($key)->put($key, $value);
}

sub calls {
	my ($self, $command) = @_;

	return sum0(map { $_->calls($command) } $self->nodes());
}

sub forget_calls {
	my ($self) = @_;

	$_->forget_calls() foreach $self->nodes();
}

sub clear {
	my ($self) = @_;

	$_->clear() foreach $self->masters();
}

sub closed {
	my ($self) = @_;

	$_->closed() foreach $self->nodes();
}

###############################################################################

sub _start_node {
	my ($self) = @_;

	my $number = $self->{port} + $self->{started}++;
	my $dir = $self->{t}->testdir();

	my $node = $self->_start_redis($number,
		'--cluster-enabled', 'yes',
		'--cluster-config-file', "$dir/nodes-$number.conf",
		'--cluster-port', port($number + 10000),
		'--cluster-node-timeout', $self->{timeout},
		'--cluster-require-full-coverage', 'no',
		'--cluster-allow-replica-migration', 'no',
		'--cluster-replica-validity-factor', 0,
		$self->{tls} ? ('--tls-cluster', 'yes') : (),
	);

	$node->{id} = $node->command('CLUSTER', 'MYID');
	push @{$self->{nodes}}, $node;

	return $node;
}

# With an epoch of its own each knows at once whose word on slots counts.

sub _join {
	my ($self) = @_;

	my @nodes = $self->nodes();
	my @masters = @nodes[0 .. $self->{masters} - 1];
	my @replicas = @nodes[$self->{masters} .. $#nodes];
	my $begin = 0;

	foreach my $number (0 .. $#nodes) {
		$nodes[$number]->command('CLUSTER', 'SET-CONFIG-EPOCH', $number + 1);
	}

	foreach my $number (0 .. $#masters) {
		my $end = $self->{sizes} ? $begin + $self->{sizes}[$number]
			: int(($number + 1) * SLOTS / @masters);
		$masters[$number]->command('CLUSTER', 'ADDSLOTSRANGE',
			$begin, $end - 1);
		$self->{ends}[$number] = $begin = $end;
	}

	while (my $node = shift @nodes) {
		$self->_meet($node, $_) foreach @nodes;
	}

	$self->_wait_known();

	foreach my $number (0 .. $#replicas) {
		$replicas[$number]->command('CLUSTER', 'REPLICATE',
			$masters[$number % @masters]{id});
	}

	$self->wait_ok() && $self->wait_replicated() or die "Can't form a cluster\n";
}

sub _meet {
	my ($self, $node, $other) = @_;

	$node->command('CLUSTER', 'MEET', '127.0.0.1',
		$self->_public_port($other),
		port($other->{number} + 10000));
}

sub _wait_known {
	my ($self) = @_;

	my $count = $self->nodes();

	wait_until(sub {
		!grep { my $node = $_;
			$count > grep { !/\b(?:handshake|noaddr)\b/ && / connected/ }
				split /\n/, $node->command('CLUSTER', 'NODES')
		} $self->nodes();
	}, READY)
		or die "nodes don't know each other\n";
}

# Whether both know that one is the replica of the other.

sub _follows {
	my ($self, $replica) = @_;

	my $id = sub { my %master = map { $_->{id} => $_->{master} }
		$self->_table($_[0]); $master{$replica->{id}} };
	my $master = first { $_->{id} eq $id->($replica) } $self->nodes();

	return $master && $id->($master) eq $master->{id}
		&& replicated($master, $replica);
}

# Also on whose word is the newest: a move of slots that begins before they do can
# be taken back.

sub _agrees {
	my ($self) = @_;

	my %views;

	foreach my $node ($self->nodes()) {
		my $info = $node->command('CLUSTER', 'INFO');

		return 0 unless $info =~ /^cluster_state:ok/m
			&& $info =~ /^cluster_slots_ok:16384/m;

		my @owners = sort map { my $owner = $_; join ' ', $owner->{id},
			$owner->{epoch}, map { "$_->[0]-$_->[1]" } @{$owner->{slots}}
		} grep { @{$_->{slots}} } $self->_table($node);

		$views{join "\n", @owners} = 1;
	}

	return CORE::keys %views == 1;
}

# Stretches of slots by the id of their node.

sub _slots {
	my ($self) = @_;

	return map { @{$_->{slots}} ? ($_->{id} => $_->{slots}) : () }
		$self->_table();
}

# What a node knows of all.

sub _table {
	my ($self, $node) = @_;

	$node //= ($self->nodes())[0];

	return map {
		my ($id, undef, $flags, $master, @words) = split;

		{
			epoch => $words[2],
			id => $id,
			master => $master,
			slots => [ map { /^(\d+)(?:-(\d+))?$/
				? [ $1, $2 // $1 ] : () } @words[4 .. $#words] ],
		}
	} split /\n/, $node->command('CLUSTER', 'NODES');
}

# Some at a time: others ask the node as well.

sub _set_slots {
	my ($node, $slots, @words) = @_;

	my @left = @$slots;

	while (my @some = splice @left, 0, 100) {
		$node->commands(map { [ 'CLUSTER', 'SETSLOT', $_, @words ] } @some);
	}
}

###############################################################################

1;

###############################################################################
