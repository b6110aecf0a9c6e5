package SSLSessionCache::RedisGroup;

# Several Redis that belong together: what a cluster and a master with Sentinels
# have in common.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Store';

use Test::Nginx;

use SSLSessionCache::Redis;

###############################################################################

# Where a node takes TLS, where there is a certificate.

sub tls_port {
	my ($self, $node) = @_;

	return port($node->{number} + 20000);
}

sub kill9 {
	my ($self, $node) = @_;

	$node->{dead} = 1;

	return $node->crash();
}

###############################################################################

# A Redis with these arguments and those of all.

sub _start_redis {
	my ($self, $number, @args) = @_;

	my $password = $self->{password};

	my $node = SSLSessionCache::Redis->new($self->{t},
		number => $number,
		password => $password,
		port => $number,
		args => [
			@args,
			'--dbfilename', "$number.rdb",
			'--rdb-del-sync-files', 'yes',
			'--repl-diskless-sync-delay', 0,
			defined $password ? ('--masterauth', $password) : (),
			$self->_tls_args($number),
			@{$self->{args}},
		],
	);

	$node->command('ACL', 'SETUSER', 'nginx', 'reset', split ' ', $self->{user})
		if defined $self->{user};

	return $node;
}

# Arguments for a node that takes TLS as well, where there is a certificate.

sub _tls_args {
	my ($self, $number) = @_;

	return () unless $self->{tls};

	my $path = $self->{t}->testdir() . "/$self->{tls}";

	return (
		'--tls-port', port($number + 20000),
		'--tls-cert-file', "$path.crt",
		'--tls-key-file', "$path.key",
		'--tls-ca-cert-file', $self->{t}->testdir() . '/ca.crt',
		'--tls-auth-clients', 'no',
		'--tls-replication', 'yes',
	);
}

# Where others reach a node.

sub _public_port {
	my ($self, $node) = @_;

	return $self->{tls} ? $self->tls_port($node) : $node->{port};
}

sub _alive {
	my ($self, @nodes) = @_;

	return grep { !$_->{dead} } @nodes;
}

###############################################################################

1;

###############################################################################
