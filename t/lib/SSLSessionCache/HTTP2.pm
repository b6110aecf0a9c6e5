package SSLSessionCache::HTTP2;

# One request over HTTP/2.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;

use SSLSessionCache::TLS;

our @EXPORT = qw/ h2_get /;

###############################################################################

# The body of the answer to one request, and the session.

sub h2_get {
	my ($port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();

	# GET, /, https, :authority
	my $headers = "\x82\x84\x87\x41\x09localhost";

	$client->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . _frame(4, 0, 0, '')
		. _frame(1, 5, 1, $headers));

	my ($received, $body) = ('', '');

	while (length(my $part = $client->read())) {
		$received .= $part;

		while (length $received >= 9) {
			my ($high, $low, $type, $flags) =
				unpack 'CnCC', $received;
			my $length = $high * 65536 + $low;
			last if length $received < 9 + $length;

			my $payload = substr $received, 9, $length;
			substr($received, 0, 9 + $length) = '';
			next if $type != 0;

			$body .= $payload;
			return ($body, $client->session()) if $flags & 1;
		}
	}

	return ($body, $client->session());
}

sub _frame {
	my ($type, $flags, $stream, $payload) = @_;

	return pack 'CnCCNa*', 0, length $payload, $type, $flags, $stream, $payload;
}

###############################################################################

1;

###############################################################################
