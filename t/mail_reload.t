#!/usr/bin/perl

# A reload while handshakes of the mail server wait for the store loses none: the
# workers from before resume them, and then exit.  Otherwise each change of the
# configuration is seen by those who come for their mail at that moment.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Mail;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);

mail_pair($t, store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=10s');
$t->plan(6);

###############################################################################

my @made;

foreach my $port (8993, 8995, 8465, 8143, 8110, 8025) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my $session = mail_get($port + 1, version => $version)->{session};
		$store->wait_id(session_id($session));
		push @made, [ $port, version => $version, session => $session ];
	}
}

my $old = worker($t);
my $lookups = $link->lookups() + @made;

$store->freeze();
my @waiting = map { mail_hello(@$_) } @made;
is($link->wait_lookups($lookups), $lookups, 'all wait');

$t->reload();
ok(wait_until(sub { grep { $_ != $old } workers(master($t)) }), 'reloaded');
ok((grep { $_ == $old } workers(master($t))), 'the worker stays');

$store->thaw();
my @got = map { my $client = $_; eval { $client->get() } // { error => $@ } }
	@waiting;

is(join('', map { $_->{error} // '' } @got), '', 'all logged in');
is(grep({ $_->{reused} } @got), scalar @made, 'all resumed');

# Connections that are open keep it until their clients leave

@waiting = ();
ok(wait_until(sub { !grep { $_ == $old } workers(master($t)) }),
	'the worker exits');

###############################################################################
