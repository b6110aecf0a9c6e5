package SSLSessionCache::Wait;

# Waiting for something to become true: short polls with an upper bound.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Time::HiRes qw/ sleep time /;

our @EXPORT = qw/ wait_until /;

###############################################################################

# The condition's value, or that of the last try after so many seconds.

sub wait_until {
	my ($condition, $seconds) = @_;

	my $end = time() + ($seconds // 10);

	while (1) {
		my $value = $condition->();
		return $value if $value or time() >= $end;
		sleep 0.01;
	}
}

###############################################################################

1;

###############################################################################
