package SSLSessionCache::RedisSentinel;

# Real Redis Sentinels over a master and its replicas, all of which are
# SSLSessionCache::Redis.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::RedisGroup';

use List::Util qw/ first /;
use Test::Nginx;

use SSLSessionCache::Redis qw/ replicated /;
use SSLSessionCache::Wait;

# Seconds; reached only by something that is broken.
use constant READY => 30;

# Milliseconds: how long an old master is left alone depends on the first two,
# when a new one is connected to on the third, and how long a Sentinel does
# nothing after it stood still on the last.  They are two, ten, one and thirty
# seconds without this.
use constant DEBUG => ('PUBLISH-PERIOD', 500, 'INFO-PERIOD', 500,
	'PING-PERIOD', 400, 'TILT-PERIOD', 500);

###############################################################################

# Options: sentinels (3), replicas (1), port of the first Redis as in
# Test::Nginx::port() (8371) and of the first Sentinel (8361), the others follow;
# name of the master (mymaster), down_after in ms (1000), password of Redis,
# sentinel_password, user and sentinel_user: the rules of an ACL for a user of the
# name nginx, args: more arguments of redis-server for the Redis, tls: the name
# of a certificate for those that take TLS as well, at tls_port().

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t,
		args => [],
		down_after => 1000,
		name => 'mymaster',
		port => 8371,
		replicas => 1,
		sentinel_port => 8361,
		sentinels => 3,
		%opts,
	);

	my ($master, @replicas) = map { $self->_start_redis($self->{port} + $_) }
		0 .. $self->{replicas};

	$_->command('REPLICAOF', '127.0.0.1', $self->_public_port($master))
		foreach @replicas;
	$self->{nodes} = [ $master, @replicas ];
	$self->_start_sentinels();

	# a replica that is new is sent nothing for up to a second
	$master->clear();
	$self->wait_replicated() or die "Can't replicate\n";
	wait_until(sub { $self->_monitored() }, READY)
		or die "Sentinels don't know each other\n";

	return $self;
}

# Redis that are alive, the first master first.

sub nodes {
	my ($self) = @_;

	return $self->_alive(@{$self->{nodes}});
}

sub sentinels {
	my ($self) = @_;

	return $self->_alive(@{$self->{sentinel_nodes}});
}

# What the Sentinels say.

sub master {
	my ($self) = @_;

	my ($sentinel) = $self->sentinels();
	my $address = $sentinel->command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME',
		$self->{name});

	return first { $self->_public_port($_) == $address->[1] }
		@{$self->{nodes}};
}

###############################################################################

# What happens

# Of a Redis or a Sentinel.

sub revive {
	my ($self, $node) = @_;

	$node->start();
	$node->{dead} = 0;

	$node->command('SENTINEL', 'DEBUG', DEBUG)
		if grep { $_ == $node } @{$self->{sentinel_nodes}};
}

# A failover that is asked for; true when there is another master.  Sentinels take
# back what they have not all heard of in time.

sub failover {
	my ($self) = @_;

	my ($sentinel) = $self->sentinels();
	my $old = $self->master();

	foreach (1 .. 3) {
		wait_until(sub { $self->_replicas_known() });
		wait_until(sub { eval {
			$sentinel->command('SENTINEL', 'FAILOVER', $self->{name})
		} });
		return 1 if $self->wait_promoted($old, READY / 6);
	}

	return 0;
}

# All Sentinels name one master, which is one, and not the one from before.

sub wait_promoted {
	my ($self, $old, $seconds) = @_;

	return wait_until(sub {
		my %ports = map { $_->command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME',
			$self->{name})->[1] => 1 } $self->sentinels();
		my $master = $self->master();

		return CORE::keys %ports == 1 && $master != $old
			&& $master->command('ROLE')->[0] eq 'master';
	}, $seconds // READY);
}

# The other nodes have all that the master has now.

sub wait_replicated {
	my ($self) = @_;

	return wait_until(sub {
		my $master = $self->master();
		replicated($master, grep { $_ != $master } $self->nodes());
	}, READY);
}

###############################################################################

# What lies in the master

sub keys {
	my ($self) = @_;

	return $self->master()->keys();
}

sub count {
	my ($self) = @_;

	return $self->master()->count();
}

sub has_key {
	my ($self, $key) = @_;

	return $self->master()->has_key($key);
}

sub clear {
	my ($self) = @_;

	$self->master()->clear();
}

sub calls {
	my ($self, $command) = @_;

	return $self->master()->calls($command);
}

sub forget_calls {
	my ($self) = @_;

	$_->forget_calls() foreach $self->nodes();
}

sub closed {
	my ($self) = @_;

	$_->closed() foreach $self->nodes(), $self->sentinels();
}

###############################################################################

# They know from the beginning what they would else tell each other every two
# seconds.

sub _start_sentinels {
	my ($self) = @_;

	my ($t, $count) = @$self{qw/ t sentinels /};
	my $dir = $t->testdir();
	my @numbers = map { $self->{sentinel_port} + $_ } 0 .. $count - 1;
	my %ids = map { $_ => sprintf '%040x', $_ } @numbers;
	my ($master, @replicas) = map { '127.0.0.1 ' . $self->_public_port($_) }
		@{$self->{nodes}};
	my $name = $self->{name};

	foreach my $number (@numbers) {
		my @options = (
			"sentinel myid $ids{$number}",
			"sentinel monitor $name $master " . (int($count / 2) + 1),
			"sentinel down-after-milliseconds $name $self->{down_after}",
			"sentinel failover-timeout $name 2000",
			(map { "sentinel known-replica $name $_" } @replicas),
			(map { "sentinel known-sentinel $name 127.0.0.1 "
				. $self->_public_port({ number => $_, port => port($_) })
				. " $ids{$_}" } grep { $_ != $number } @numbers),
			defined $self->{password}
				? "sentinel auth-pass $name $self->{password}" : (),
			defined $self->{sentinel_password}
				? "sentinel sentinel-pass $self->{sentinel_password}"
				: (),
			defined $self->{sentinel_user}
				? "user nginx reset $self->{sentinel_user}" : (),
		);

		$t->write_file("sentinel-$number.conf", join "\n", @options, '');
	}

	$self->{sentinel_nodes} = [ map { SSLSessionCache::Redis->new($t,
		config => "$dir/sentinel-$_.conf",
		number => $_,
		password => $self->{sentinel_password},
		port => $_,
		args => [ '--sentinel', '--bind', '127.0.0.1', '-::1',
			$self->_tls_args($_) ],
	) } @numbers ];

	$_->command('SENTINEL', 'DEBUG', DEBUG) foreach $self->sentinels();
}

sub _monitored {
	my ($self) = @_;

	return !grep { $_->command('INFO', 'sentinel') !~ /^master0:name=[^\n]*
		status=ok,[^\n]*slaves=$self->{replicas},sentinels=$self->{sentinels}/mx
		} $self->sentinels();
}

# All Sentinels have heard of each replica that it is one.

sub _replicas_known {
	my ($self) = @_;

	return !grep { my %replica = @$_; $replica{'role-reported'} ne 'slave' }
		map { @{$_->command('SENTINEL', 'REPLICAS', $self->{name})} }
		$self->sentinels();
}

###############################################################################

1;

###############################################################################
