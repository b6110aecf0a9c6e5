package SSLSessionCache::EarlyData;

# Clients that offer sessions with early data: one at a time, as s_client does it,
# by the bytes that it sends first, or each to several servers at the same instant,
# with the program early-data of bench/.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::TLS;

our @EXPORT = qw/ 
	answer_to claim_key early_data early_flight offer_early without_secret
/;

###############################################################################

my $root = __FILE__ =~ s!/t/lib/.*!!r;
my $program = "$root/target/release/early-data";

# Sessions are made at one port and offered to several, as in
# Test::Nginx::port().  Returns what the program tells of that.

sub early_data {
	my ($make, $offer, $count, @options) = @_;

	my @command = ($program, '--make', address($make),
		'--offer', join(',', map { address($_) } @$offer),
		'-n', $count, @options);

	open my $output, '-|', @command
		or die "cannot run $program, to be built with "
		. "\"cargo build --release -p tls-bench\": $!\n";

	my $report = do { local $/; <$output> };
	close $output;

	return decode_json($report // die "$program has failed\n");
}

sub address {
	my ($port) = @_;

	return '127.0.0.1:' . port($port);
}

# Offers one session: a request goes with the ClientHello, and another one behind
# the handshake.  What the server answers has angle brackets around it.  Tells in
# words: reused or full, accepted or rejected, and the last answer.  Options are
# s_client's, and body: so many bytes behind the early request.

sub offer_early {
	my ($t, $port, $session, @options) = @_;

	my $command = _s_client($t, address($port), $session, @options);
	my $late = "GET /late HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n";
	my $output = `printf '$late' | timeout 20 $command 2>&1`;

	Test::Nginx::log_core('s_client', $output);

	my ($made) = $output =~ /^(New|Reused), TLSv1\.3/m;
	my ($early) = $output =~ /^Early data was (accepted|rejected|not sent)/m;
	my @answers = $output =~ /\n\r?\n<([^<>\n]*)>/g;
	my $expected = ($early // '') eq 'accepted' ? 2 : 1;

	return "failed: $output" unless $made && $early && @answers == $expected;
	return join ' ', $made eq 'New' ? 'full' : 'reused', $early,
		grep { length } split ' ', $answers[-1];
}

# What such a client sends before it has heard from the server: its ClientHello
# and early data, a request for a URI.  Whoever sees it can send it again.

sub early_flight {
	my ($t, $session, $uri) = @_;

	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
		or die "Can't listen: $!\n";
	my $command = _s_client($t, '127.0.0.1:' . $listener->sockport(), $session,
		uri => $uri // '/');

	my $pid = open my $client, '-|', "exec timeout 10 $command 2>&1"
		or die "Can't run s_client: $!\n";
	my $socket = $listener->accept();
	my $flight = '';

	until (_has_early_data($flight)) {
		sysread $socket, $flight, 65536, length $flight
			or die "s_client sends no early data\n";
	}

	close $socket;
	1 while <$client>;
	close $client;

	return $flight;
}

# The same with a wrong proof of having the session's secret, which ends the
# ClientHello.

sub without_secret {
	my ($flight) = @_;

	my $end = 5 + unpack 'x3n', $flight;
	substr($flight, $end - 1, 1) ^= "\1";

	return $flight;
}

# All that a server sends to a first flight, without a word more from the client,
# until it has been silent for so many seconds.

sub answer_to {
	my ($port, $flight, $seconds) = @_;

	my $socket = SSLSessionCache::Hello::connected($port);
	my $select = IO::Select->new($socket);
	my $answer = '';

	syswrite $socket, $flight;

	while ($select->can_read($seconds // 1)) {
		sysread $socket, $answer, 65536, length $answer or last;
	}

	return $answer;
}

# Where the claim on a session lies that has this key.

sub claim_key {
	my ($key) = @_;

	return $key =~ s/.$/+/r;
}

sub _s_client {
	my ($t, $address, $session, %options) = @_;

	my $uri = delete $options{uri} // '/early';
	my $body = delete $options{body} // 0;
	my $path = write_session($t, 'early.session', $session);

	$t->write_file('early.request', "GET $uri HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Length: $body\r\n\r\n" . 'x' x $body);

	return join ' ', 'openssl s_client -tls1_3 -ign_eof -servername localhost',
		"-sess_in $path -early_data", $t->testdir() . '/early.request',
		%options, '-connect', $address;
}

# Whether the first record of early data is complete.

sub _has_early_data {
	my ($bytes) = @_;

	while (length $bytes >= 5) {
		my ($type, $length) = unpack 'Cx2n', $bytes;
		return length $bytes >= 5 + $length if $type == 23;
		$bytes = length $bytes > 5 + $length ? substr $bytes, 5 + $length : '';
	}

	return 0;
}

###############################################################################

1;

###############################################################################
