#!/usr/bin/perl

# Nothing secret is in the log, at any level: no key, and no session's secret,
# in whatever happens to sessions and records.  Logs are kept, shipped and read
# by many; a key in one would open all that the store ever held.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

# The log of this nginx is written at the level "debug".

my @keys = map { seal_key($t, "$_.key") } 'cache', 'old';

my $redis = single($t, cache => 'key=cache.key key=old.key', body => '');
$t->plan(9);

###############################################################################

my @sessions;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $full = tls_get(8443, version => $version);
	my $name = seal_name($keys[0], session_id($full->{session}));
	$redis->wait_id($name);

	my $resumed = tls_get(8443, version => $version,
		session => $full->{session});
	is($resumed->{reused}, 1, "$version, resumed");

	my $record = $redis->command('GET', $redis->key($name));
	$redis->command('SET', $redis->key($name), $record . 'x');

	my $refused = tls_get(8443, version => $version,
		session => $full->{session});
	is($refused->{reused}, 0, "$version, not resumed");

	push @sessions, map { $_->{session} } $full, $resumed, $refused;
}

my $log = $t->read_file('error.log');
my %secrets = (
	'key file' => [ @keys ],
	'key derived of it' => [ map { derived($_) } @sessions ],
	'secret of a session' => [ map { master_key($_) } @sessions ],
);

# the beginning of one would be too much as well

foreach my $name (sort keys %secrets) {
	my @parts = map { (substr($_, 0, 8), substr($_, 16, 8)) }
		@{$secrets{$name}};
	my @found = grep {
		index($log, $_) >= 0 || $log =~ /${\ unpack('H*', $_)}/i
	} @parts;

	is(@found, 0, "no $name");
}

like($log, qr/\[debug\].*sslsessioncache: lookup done/, 'log is complete');
like($log, qr/\[debug\].*SSL reused session/, 'log is complete, nginx');

###############################################################################

sub derived {
	my ($session) = @_;

	return seal_record_key($keys[0], session_id($session));
}

###############################################################################
