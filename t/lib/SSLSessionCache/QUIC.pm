package SSLSessionCache::QUIC;

# A client of HTTP/3 that keeps its session for the next time.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Test::Nginx;

our @EXPORT = qw/ quic_get /;

###############################################################################

# What it gets from a port, as in Test::Nginx::port().

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

###############################################################################

1;

###############################################################################
