package SSLSessionCache::Sentinel;

# Redis Sentinels of a test's own: they say which address is the master of a
# name, and tell those who listen when it is another.  They do so until a test
# tells them a fault, or to say something else.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Resp';

use SSLSessionCache::Resp qw/ resp /;

###############################################################################

# Options: ports of the Sentinels as in Test::Nginx::port() (8361), masters: the
# host and the port of each name.

sub new {
	my ($class, $t, %opts) = @_;

	return $class->SUPER::new($t, ports => [ 8361 ], masters => {}, %opts);
}

# Another master of a name; all Sentinels know of it, and tell.  Without an
# address, none.

sub switch {
	my ($self, $name, $host, $port) = @_;

	return $self->ask('set_master', $name, $host, $port);
}

# The same, and nobody is told.

sub switch_silently {
	my ($self, $name, $host, $port) = @_;

	return $self->ask('set_master', $name, $host, $port, 'silently');
}

# Anything that those who listen are told; how many they are.

sub publish {
	my ($self, $channel, $message) = @_;

	return $self->ask('tell_all', $channel, $message);
}

###############################################################################

# What follows runs in the process of the Sentinels.

sub set_master {
	my ($self, $name, $host, $port, $silently) = @_;

	my ($old_host, $old_port) = @{delete $self->{masters}{$name} // []};

	$self->{masters}{$name} = [ $host, $port ] if defined $host;

	$self->tell_all('+switch-master', "$name $old_host $old_port $host $port")
		if defined $host && defined $old_host && !$silently;

	return 1;
}

sub tell_all {
	my ($self, $channel, $message) = @_;

	my @listeners = grep { $_->{channels}{$channel} }
		values %{$self->{clients}};

	$self->push_to($_, resp([ 'message', $channel, $message ]))
		foreach @listeners;

	return scalar @listeners;
}

sub answer {
	my ($self, $client, $name, @words) = @_;

	my $listens = %{$client->{channels} // {}};

	return $listens ? resp([ 'pong', '' ]) : "+PONG\r\n" if $name eq 'PING';
	return $self->_subscribe($client, @words[1 .. $#words])
		if $name eq 'SUBSCRIBE';
	return "-ERR Can't execute '" . lc($name =~ tr/ /|/r) . "': only (P|S)SUBSCRIBE "
		. '/ (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this '
		. "context\r\n" if $listens;

	return "+OK\r\n" if $name =~ /^(?:AUTH|CLIENT)$/;

	if ($name eq 'SENTINEL GET-MASTER-ADDR-BY-NAME') {
		my $master = $self->{masters}{$words[2] // ''};
		return defined $master ? resp([ map { "$_" } @$master ])
			: "*-1\r\n";
	}

	return "-ERR unknown command '$words[0]', with args beginning with: \r\n";
}

sub _subscribe {
	my ($self, $client, @channels) = @_;

	my $reply = '';

	foreach my $channel (@channels) {
		$client->{channels}{$channel} = 1;
		my $count = keys %{$client->{channels}};
		$reply .= resp([ 'subscribe', $channel, \$count ]);
	}

	return $reply;
}

###############################################################################

1;

###############################################################################
