package SSLSessionCache::Cluster;

# A Redis Cluster of a test's own: nodes that have slots, say who has which, and
# send clients to each other.  It does what it should, until a test moves slots,
# takes nodes away, or tells it a fault.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Resp';

use Exporter qw/ import /;

use SSLSessionCache::Resp qw/ resp /;

our @EXPORT = qw/ slot_of /;

use constant SLOTS => 16384;

###############################################################################

# Options: ports of the nodes as in Test::Nginx::port() (8371 to 8373), which
# have as many slots each.

sub new {
	my ($class, $t, %opts) = @_;

	my @ports = @{$opts{ports} // [ 8371, 8372, 8373 ]};

	return $class->SUPER::new($t, %opts,
		ports => \@ports,
		hosts => [ map { '127.0.0.1' } @ports ],
		owners => [ map { int $_ * @ports / SLOTS } 0 .. SLOTS - 1 ],
		migrating => {},
		values => [ map { {} } @ports ],
		down => 0,
	);
}

# The number of the node that has a key.

sub node_of {
	my ($self, $key) = @_;

	return $self->ask('owner', slot_of($key));
}

# Gives slots, with what lies in them, to a node.

sub move {
	my ($self, $first, $last, $node) = @_;

	return $self->ask('give', $first, $last, $node);
}

# Begins to move a slot: its node sends clients to the other one for what it has
# no more, for one command each (ASK).  Keys that move later are named to
# carry().

sub migrate {
	my ($self, $slot, $node) = @_;

	return $self->ask('begin', $slot, $node);
}

sub carry {
	my ($self, $key) = @_;

	return $self->ask('carry_key', $key);
}

# What the nodes say of where a node is: another host, or none.

sub announce {
	my ($self, $node, $host) = @_;

	return $self->ask('set_host', $node, $host);
}

# Whether slots are served at all (CLUSTERDOWN).

sub down {
	my ($self, $down) = @_;

	return $self->ask('set_down', $down ? 1 : 0);
}

# What lies at a node under a key.

sub value {
	my ($self, $node, $key) = @_;

	return $self->ask('read_value', $node, $key);
}

# The slot of a key: CRC-16 (XMODEM) of it, or of what stands in its first pair
# of braces.

sub slot_of {
	my ($key) = @_;

	my $hashed = $key =~ /^[^{]*\{([^}]+)\}/ ? $1 : $key;
	my $crc = 0;

	foreach my $byte (unpack 'C*', $hashed) {
		$crc ^= $byte << 8;
		$crc = ($crc << 1 ^ ($crc & 0x8000 ? 0x1021 : 0)) & 0xffff
			foreach 1 .. 8;
	}

	return $crc % SLOTS;
}

###############################################################################

# What follows runs in the process of the nodes.

sub owner {
	my ($self, $slot) = @_;

	return $self->{owners}[$slot];
}

sub give {
	my ($self, $first, $last, $node) = @_;

	my $values = $self->{values};

	foreach my $slot ($first .. $last) {
		$self->{owners}[$slot] = $node;
		delete $self->{migrating}{$slot};
	}

	foreach my $from (grep { $_ != $node } 0 .. $#$values) {
		foreach my $key (keys %{$values->[$from]}) {
			my $slot = slot_of($key);

			$values->[$node]{$key} = delete $values->[$from]{$key}
				if $first <= $slot && $slot <= $last;
		}
	}

	return 1;
}

sub begin {
	my ($self, $slot, $node) = @_;

	$self->{migrating}{$slot} = $node;

	return 1;
}

sub carry_key {
	my ($self, $key) = @_;

	my $slot = slot_of($key);
	my ($from, $to) = ($self->{owners}[$slot], $self->{migrating}{$slot});

	$self->{values}[$to]{$key} = delete $self->{values}[$from]{$key};

	return 1;
}

sub set_host {
	my ($self, $node, $host) = @_;

	$self->{hosts}[$node] = $host;

	return 1;
}

sub set_down {
	my ($self, $down) = @_;

	$self->{down} = $down;

	return 1;
}

sub read_value {
	my ($self, $node, $key) = @_;

	return $self->{values}[$node]{$key};
}

sub answer {
	my ($self, $client, $name, @words) = @_;

	my $asking = delete $client->{asking};

	return "+PONG\r\n" if $name eq 'PING';
	return "+OK\r\n" if $name =~ /^(?:AUTH|READONLY|CLIENT)$/;
	return resp($self->_slots()) if $name eq 'CLUSTER SLOTS';
	return resp($self->_shards()) if $name eq 'CLUSTER SHARDS';

	if ($name eq 'ASKING') {
		$client->{asking} = 1;
		return "+OK\r\n";
	}

	return "-ERR unknown command '$words[0]', with args beginning with: \r\n"
		unless $name =~ /^(?:GET|SET|SETEX|DEL)$/;

	return $self->_redirection($client->{node}, $words[1], $asking)
		// $self->_execute($client->{node}, $name, @words[1 .. $#words]);
}

sub _redirection {
	my ($self, $node, $key, $asking) = @_;

	return "-CLUSTERDOWN The cluster is down\r\n" if $self->{down};

	my $slot = slot_of($key);
	my $owner = $self->{owners}[$slot];
	my $next = $self->{migrating}{$slot};

	if ($node == $owner) {
		return defined $next && !exists $self->{values}[$node]{$key}
			? "-ASK $slot " . $self->_address($next) . "\r\n" : undef;
	}

	return if $asking && defined $next && $node == $next;
	return "-MOVED $slot " . $self->_address($owner) . "\r\n";
}

sub _execute {
	my ($self, $node, $name, $key, @words) = @_;

	my $values = $self->{values}[$node];

	return resp($values->{$key}) if $name eq 'GET';
	return resp(\(defined delete $values->{$key} ? 1 : 0)) if $name eq 'DEL';

	# SETEX has the value last, SET first
	my $value = $words[$name eq 'SET' ? 0 : -1];
	return resp(undef)
		if $name eq 'SET' && $words[-1] eq 'NX' && exists $values->{$key};

	$values->{$key} = $value;

	return "+OK\r\n";
}

sub _address {
	my ($self, $node) = @_;

	return "$self->{hosts}[$node]:$self->{real_ports}[$node]";
}

# First slot, last slot and node of each stretch of slots.

sub _stretches {
	my ($self) = @_;

	my $owners = $self->{owners};
	my @stretches;

	foreach my $slot (0 .. SLOTS - 1) {
		if ($slot > 0 && $owners->[$slot] == $owners->[$slot - 1]) {
			$stretches[-1][1] = $slot;
		} else {
			push @stretches, [ $slot, $slot, $owners->[$slot] ];
		}
	}

	return @stretches;
}

sub _slots {
	my ($self) = @_;

	return [ map {
		my ($first, $last, $node) = @$_;
		[ \$first, \$last, [ $self->{hosts}[$node],
			\$self->{real_ports}[$node], _id($node), [] ] ]
	} $self->_stretches() ];
}

sub _shards {
	my ($self) = @_;

	return [ map {
		my $node = $_;
		my ($host, $port) = map { $_->[$node] } @{$self}{qw/
			hosts real_ports /};
		my @slots = map { my $stretch = $_; map { \$_ } @$stretch[0, 1] }
			grep { $_->[2] == $node } $self->_stretches();

		[ 'slots', \@slots, 'nodes', [ [
			id => _id($node), port => \$port, ip => $host,
			endpoint => $host, role => 'master',
			'replication-offset' => \0, health => 'online',
		] ] ]
	} 0 .. $#{$self->{ports}} ];
}

sub _id {
	my ($node) = @_;

	return sprintf '%040x', $node + 1;
}

###############################################################################

1;

###############################################################################
