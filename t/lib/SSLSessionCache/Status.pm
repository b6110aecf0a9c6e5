package SSLSessionCache::Status;

# The status page, read.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use JSON::PP;
use Test::Nginx;

use SSLSessionCache::Wait;

our @EXPORT = qw/ status wait_status /;

###############################################################################

# What the JSON says.

sub status {
	my (%opts) = @_;

	my ($body) = http_get($opts{uri} // '/status') =~ /\r\n\r\n(.*)/s;

	return decode_json($body);
}

# The same, once the condition is true of it: a client may know the end of its
# handshake before it has been counted.

sub wait_status {
	my ($condition) = @_;

	my $status;
	wait_until(sub { $condition->($status = status()) });

	return $status;
}

###############################################################################

1;

###############################################################################
