#!/usr/bin/perl

# A twemproxy in front of the store, which closes a connection at the first
# command that it does not know: sessions made by way of it are resumed on
# another machine.  Without it a fleet with too many connections for its store
# has no cache.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Daemon;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('nutcracker');

my $store = store($t);
my $is_redis = store_type() eq 'redis' ? 'true' : 'false';

$t->write_file_expand('proxy.yml', <<"EOF");
store:
  listen: 127.0.0.1:%%PORT_8380%%
  redis: $is_redis
  servers:
   - 127.0.0.1:%%PORT_8379%%:1

EOF

SSLSessionCache::Daemon->new($t)->launch('nutcracker',
	'-c', $t->testdir() . '/proxy.yml', '-o', $t->testdir() . '/proxy.log',
	'-s', port(8381), '-a', '127.0.0.1');
$t->waitforsocket('127.0.0.1:' . port(8380)) or die "No proxy\n";

my (undef, $other) = pair($t,
	store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8380%%',
);
$t->plan(4);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	is(resumed($version), 10, "$version, resumed");
}

unlike($_, qr/is down|refuses commands/, 'nothing is wrong in the log')
	foreach $t->read_file('error.log'), $other->error_log();

###############################################################################

sub resumed {
	my ($version) = @_;
	my $resumed = 0;

	foreach (1 .. 10) {
		my $made = tls_get(8443, version => $version);
		$store->wait_id(session_id($made->{session}));
		$resumed += tls_get(8444, version => $version,
			session => $made->{session})->{reused};
	}

	return $resumed;
}

###############################################################################
