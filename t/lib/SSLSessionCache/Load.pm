package SSLSessionCache::Load;

# Clients that come and go while a test does something else: sessions are made on
# one nginx and offered to the other, many at a time, in a process of its own.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Select;
use JSON::PP;
use Time::HiRes qw/ sleep time /;

use SSLSessionCache::TLS;

###############################################################################

# Options: from and to, ports as in Test::Nginx::port() (8443, 8444), at_once (32),
# pause in seconds after each (0.05).

sub new {
	my ($class, $t, %opts) = @_;

	my $self = $class->SUPER::new($t,
		at_once => 16,
		from => 8443,
		pause => 0.05,
		to => 8444,
		%opts,
	);

	my $control = $self->control();

	return $self->launch(sub { $self->_run($control) });
}

# Ends it.  What came of each handshake, in a hash: at, when it began, seconds
# until it was done, error if it failed; made: whether it was the first of its
# session, since: when that one began; reused, id of the session in hex.

sub results {
	my ($self) = @_;

	my $results = decode_json($self->tell('results'));

	$self->end('TERM');

	return @$results;
}

###############################################################################

# Each session is offered when the next ones have been made: then it is stored.

sub _run {
	my ($self, $control) = @_;

	my $asked = IO::Select->new($control);
	my $count = $self->{at_once};
	my @results;
	my @made;

	while (!$asked->can_read(0)) {
		my @next = $self->_shake($self->{from}, map { +{ made => 1,
			version => $_ % 2 ? 'TLSv1.2' : 'TLSv1.3' } } 1 .. $count);

		push @results, @next, $self->_shake($self->{to}, map { +{
			id => $_->{id}, session => $_->{session},
			since => $_->{at}, version => $_->{version} } } @made);
		@made = grep { !defined $_->{error} } @next;

		sleep $self->{pause};
	}

	delete $_->{session} foreach @results;
	<$control>;
	print $control JSON::PP->new()->ascii()->encode(\@results), "\n";
}

sub _shake {
	my ($self, $port, @handshakes) = @_;

	foreach my $handshake (@handshakes) {
		$handshake->{at} = time();
		$handshake->{client} = eval { tls_hello($port, map {
			defined $handshake->{$_} ? ($_ => $handshake->{$_}) : ()
		} qw/ session version /) };
		$handshake->{error} = $@ if $@;
	}

	foreach my $handshake (grep { $_->{client} } @handshakes) {
		my $client = delete $handshake->{client};
		my $done = eval {
			$client->handshake();
			$handshake->{seconds} = time() - $handshake->{at};
			$client->get('/');
		};

		$handshake->{error} = $@ unless $done;
		next unless $done;

		$handshake->{reused} = $done->{reused};
		$handshake->{session} = $done->{session};
		$handshake->{id} //= unpack 'H*', session_id($done->{session});
	}

	return @handshakes;
}

###############################################################################

1;

###############################################################################
