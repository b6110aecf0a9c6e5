#!/usr/bin/perl

# Bytes that are no reply to the command in front end the connection: a wrong
# kind of reply, too many, too long, without an end, or before they were asked
# for.  Otherwise they would answer the next lookup, or fill the memory.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Misbehaving;
use SSLSessionCache::Pair;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = SSLSessionCache::Misbehaving->new($t);

my $version = 'TLSv1.2';

my @wrong = store_type() eq 'redis'
	? ("+OK\r\n", ":1\r\n", "*0\r\n", "+PONG\r\n", "\$-2\r\n", "\$x\r\n",
		"\$1048577\r\n", "\$99999999999999999999\r\n", "HTTP/1.1 400\r\n")
	: ("STORED\r\n", "DELETED\r\n", "VERSION 1.6.18\r\n", "EN\r\n",
		"VALUE\r\n", "VALUE x 0 1\r\nx\r\nEND\r\n", "HTTP/1.1 400\r\n");
my @endless = store_type() eq 'redis' ? ('$', '-', '+', 'x')
	: ('VALUE ', 'SERVER_ERROR ', 'x');

single($t,
	store => $store, cache => 'type=%%STORE%% interval=10ms timeout=500ms');
$t->plan(6 + 4 * (@wrong + @endless + 7));

###############################################################################

my ($session, $other) = $store->made($version, 2);
my $id = session_id($session);
my $reply = $store->reply($id);
my $foreign = $store->reply(session_id($other));
my ($head) = $reply =~ /^(.*?)\d+\r\n/s;
my $missing = store_type() eq 'redis' ? "\$-1\r\n" : "END\r\n";

# joined replies are fine

my $accepted = $store->calls('accept');
my @sessions = $store->made($version, 5);

$store->fault('get', 'join', 5);
my @clients = map { tls_hello(8443, version => $version, session => $_) }
	@sessions;

is(grep({ $_->get('/')->{reused} } @clients), 5, 'joined');
is($store->calls('accept'), $accepted, 'joined, same connection');

# all else is not

closes(shown($_), 0, 'instead', $_) foreach @wrong;
closes(shown($_) . ' without end', 0, 'endless', $_) foreach @endless;
closes('oversized', 0, 'instead', "${head}2000000\r\n" . 'x' x 2000000);
closes('long, and ends wrongly', 0, 'instead', "${head}100000\r\n"
	. 'x' x 100000 . "x\r\n");
closes('record without end', 0, 'endless', $reply =~ s/\r\n.*//sr . "\r\n");
closes('twice', 1, 'after', $reply);
closes('followed by another', 1, 'after', $foreign);
closes('followed by rubbish', 1, 'after', 'rubbish');
closes('followed by a miss', 1, 'after', $missing);

# unsolicited

foreach my $bytes ($reply, $missing) {
	my $before = $store->calls('accept');

	$store->say($bytes);
	ok(wait_until(sub { $store->calls('accept') > $before }),
		'unsolicited, closed');
	ok(wait_until(sub { offer($session)->{reused} }),
		'unsolicited, resumed after it');
}

###############################################################################

sub closes {
	my ($name, $reused, $fault, $bytes) = @_;

	my $accepted = $store->calls('accept');
	$store->fault('get', $fault, $bytes);

	my $r = offer($session);
	is($r->{reused} // $r->{error}, $reused, "$name, handshake");
	ok(wait_until(sub { $store->calls('accept') == $accepted + 1 }),
		"$name, closed");
	ok(wait_until(sub { offer($session)->{reused} }),
		"$name, resumed after it");
	is($store->calls('delete'), 0, "$name, nothing deleted");
}

sub shown {
	my ($bytes) = @_;

	return $bytes =~ s/\r\n/ /gr =~ s/ $//r;
}

sub offer {
	my ($session) = @_;

	return tls_get(8443, version => $version, session => $session);
}

###############################################################################
