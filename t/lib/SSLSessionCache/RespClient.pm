package SSLSessionCache::RespClient;

# A client of Redis's protocol that waits for each answer: for what is said to
# a stand-in by hand.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;

our @EXPORT = qw/ ask command reply /;

###############################################################################

# The words of a command, as they are sent.

sub command {
	return '*' . @_ . "\r\n" . join '',
		map { '$' . length($_) . "\r\n$_\r\n" } @_;
}

# Sends a command; returns the answer.

sub ask {
	my ($socket, @words) = @_;

	$socket->print(command(@words));

	return reply($socket);
}

# One write is one reply, on the loopback.

sub reply {
	my ($socket) = @_;

	local $SIG{ALRM} = sub { die "timeout\n" };

	alarm(10);
	sysread $socket, my $reply, 65536;
	alarm(0);

	return $reply;
}

###############################################################################

1;

###############################################################################
