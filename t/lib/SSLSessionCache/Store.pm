package SSLSessionCache::Store;

# The store of a test that behaves the same with any: a Redis, or what
# TEST_NGINX_STORE says.  The configuration of such a test has %%STORE%% for the
# type: by that ci/test knows which tests to run with a Memcached as well.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use Exporter qw/ import /;

use SSLSessionCache::Wait;

our @EXPORT = qw/ store store_config store_type /;

use constant PREFIX => 'sslsessioncache:';

my $type = $ENV{TEST_NGINX_STORE} // 'redis';

###############################################################################

sub store_type {
	return $type;
}

# Options as of the store's class.

sub store {
	my ($t, %opts) = @_;

	my $class = 'SSLSessionCache::' . ucfirst $type;
	eval "require $class" or die $@;

	return $class->new($t, %opts);
}

# A configuration with the type of the store filled in.

sub store_config {
	my ($config) = @_;

	return $config =~ s/%%STORE%%/$type/gr;
}

###############################################################################

# A store is started and looked into.  Its class gives start(), closed() that
# forgets the connection of this test, and the questions:
#
# keys(), has_key(KEY), count(): what lies in it; has_key() counts as no call
# value(KEY), put(KEY, VALUE), remove(KEY), clear()
# ttl(KEY): seconds, persist(KEY)
# calls(NAME): how often "get", "put" and "delete" were called since the last
# forget_calls()
# clients(): names of the connections of others

sub stop {
	my ($self) = @_;

	$self->closed();

	return $self->end('TERM');
}

sub crash {
	my ($self) = @_;

	$self->closed();

	return $self->end('KILL');
}

# Holds the server still: it is connected, and answers nothing.

sub freeze {
	my ($self) = @_;

	$self->signal('STOP');
	wait_until(sub { !grep { !/^State:\s+T/m }
		map { _slurp("$_/status") } glob "/proc/$self->{pid}/task/*" });

	return $self;
}

sub _slurp {
	my ($name) = @_;

	open my $file, '<', $name or return '';
	local $/;

	return <$file>;
}

sub thaw {
	my ($self) = @_;

	return $self->signal('CONT');
}

sub key {
	my ($self, $id) = @_;

	return PREFIX . unpack 'H*', $id;
}

sub wait_keys {
	my ($self, $count) = @_;

	wait_until(sub { $self->count() == $count });

	return $self->keys();
}

# A session is stored when the handshake is over: the client may know first.

sub wait_id {
	my ($self, $id) = @_;

	return wait_until(sub { $self->has_key($self->key($id)) });
}

sub wait_calls {
	my ($self, $command, $count) = @_;

	wait_until(sub { $self->calls($command) >= $count });

	return $self->calls($command);
}

###############################################################################

1;

###############################################################################
