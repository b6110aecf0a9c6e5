package SSLSessionCache::EarlyData;

# Clients that offer sessions with early data, each to several servers at the
# same instant: the program early-data of bench/.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use JSON::PP;
use Test::Nginx;
use Test::More;

our @EXPORT = qw/ early_data /;

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

###############################################################################

1;

###############################################################################
