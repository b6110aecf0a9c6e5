package SSLSessionCache::Responder;

# An OCSP responder of an authority's: it tells which certificates are revoked.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use Test::Nginx;

use SSLSessionCache::Wait;

###############################################################################

# Options: port as in Test::Nginx::port().

sub new {
	my ($class, $t, $authority, %opts) = @_;

	my $self = $class->SUPER::new($t, authority => $authority, %opts,
		port => port($opts{port}));

	return $self->start();
}

# A connection that asks nothing would hold it up: what it says tells when it is
# ready.

sub start {
	my ($self) = @_;

	my ($t, $port) = @$self{qw/ t port /};
	my $log = $t->testdir() . '/responder.log';

	unlink $log;
	$self->launch('sh', '-c', "exec openssl ocsp -port $port "
		. $self->{authority}->ocsp_options() . " >$log 2>&1");

	wait_until(sub { -e $log
		&& $t->read_file('responder.log') =~ /waiting for OCSP client/ })
		or die "Can't start OCSP responder\n";

	return $self;
}

# These certificates, and no others.

sub revoke {
	my ($self, @names) = @_;

	$self->end('TERM');
	$self->{authority}->revoke(@names);

	return $self->start();
}

# How often it was asked since it was started.

sub asked {
	my ($self) = @_;

	my @questions = $self->{t}->read_file('responder.log') =~ /Received request/g;

	return scalar @questions;
}

###############################################################################

1;

###############################################################################
