package SSLSessionCache::QUIC;

# Clients of HTTP/3.  gtlsclient does all that a client should, and keeps its
# session in a file; that of nginx-tests has its session at hand, for TLS over
# TCP as well.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP3;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

our @EXPORT = qw/
	h3_get h3_made h3_request needs_waiting quic_get quic_waits tcp_session
/;

###############################################################################

# Whether handshakes over QUIC wait for the store: the log tells the way.

sub quic_waits {
	my ($t) = @_;

	return $t->read_file('error.log') =~ /suspended with .*\(suspend=retry\)/;
}

# For a test that says suspend=retry.  It has a certificate then, with an RSA key.

sub needs_waiting {
	my ($t) = @_;

	certificate($t, 'localhost', rsa => 1);

	my ($output) = check_config($t, config(cache => 'suspend=retry'));

	plan(skip_all => 'handshakes over QUIC do not wait here')
		if $output =~ /"suspend=retry" .* is not possible/;

	return $t;
}

# What gtlsclient gets from a port, as in Test::Nginx::port().

sub quic_get {
	my ($t, $port) = @_;

	my $d = $t->testdir();

	unlink "$d/quic";
	system('gtlsclient', '--quiet', "--session-file=$d/session",
		"--tp-file=$d/transport", "--download=$d", '--timeout=5s',
		'--exit-on-all-streams-close', '127.0.0.1', port($port),
		'https://localhost/quic') == 0 or return 'failed';

	open my $body, '<', "$d/quic" or return 'nothing';

	return readline $body;
}

# One request of nginx-tests' client, which wants a certificate with an RSA key.
# Options: session, of this client's or one of tls_get()'s.  A hash: body,
# session.

sub h3_get {
	my ($port, %opts) = @_;

	my $client = Test::Nginx::HTTP3->new($port, offering($opts{session}))
		or return { body => 'failed' };

	return h3_request($client);
}

# A session that the store has: those that are made before nginx has connected are
# not stored.

sub h3_made {
	my ($port, $store) = @_;

	return wait_until(sub {
		my $session = h3_get($port)->{session} or return;
		my $key = $store->key($session->{ticket});

		return wait_until(sub { $store->has_key($key) }, 1) && $session;
	}) || die "no session is stored\n";
}

# The options of a client that offers a session.

sub offering {
	my ($session) = @_;

	return (ciphers => "\x13\x02") unless defined $session;

	$session = {
		age_add => "\0" x 4,
		cipher => 0x1302,
		secret => master_key($session),
		ticket => session_id($session),
	} unless ref $session;

	return (ciphers => "\x13\x02", psk_list => [ $session ]);
}

# The same, of a client that has made its handshake.

sub h3_request {
	my ($client) = @_;

	my $stream = $client->new_stream();
	my $frames = $client->read(all => [ { sid => $stream, fin => 1 } ]);
	my ($data) = grep { $_->{type} eq 'DATA' } @$frames;

	return {
		body => $data ? $data->{data} : 'nothing',
		session => $client->{psk_list}[-1],
	};
}

# A session of this client for tls_get(): another one with its id and secret.

sub tcp_session {
	my ($session, $other) = @_;

	my %new = (
		session_id($other) => $session->{ticket},
		master_key($other) => $session->{secret},
	);
	my $old = join '|', map { quotemeta } keys %new;

	return $other =~ s/($old)/$new{$1}/gr;
}

###############################################################################

1;

###############################################################################
