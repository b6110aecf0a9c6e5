#!/usr/bin/perl

# A fatal alert takes the session of its connection out of the store, in http{},
# stream{} and mail{} alike (RFC 5246, section 7.2.2).  Otherwise one lives on that
# has been attacked.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Frontends;

###############################################################################

my $t = Test::Nginx->new();

my $store = frontends($t, type => '%%STORE%%');
$t->plan(6);

###############################################################################

foreach my $name (qw/ http mail stream /) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		$store->forget_calls();

		# a record that nobody has encrypted

		my $client = greeted($name, version => $version);
		syswrite $client->socket(), "\x17\x03\x03\x00\x20" . 'x' x 32;
		1 while length(eval { $client->read() } // '');

		is($store->wait_calls('delete', 1), 1, "$name, $version");
	}
}

###############################################################################
