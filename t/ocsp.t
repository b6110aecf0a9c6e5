#!/usr/bin/perl

# With "ssl_ocsp on" nginx asks about the client's certificate in each handshake,
# also where a session of another machine is resumed: the handshake is held once
# for the session, and once more for the answer.  A certificate that was revoked
# since then opens nothing.  Otherwise its owner gets in for as long as the
# session lasts.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Responder;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $authority = SSLSessionCache::Authority->new($t, 'authority')
	->issue('localhost')->issue('client');
my $responder = SSLSessionCache::Responder->new($t, $authority, port => 8081);

my ($redis, $other) = pair($t,
	server => 'ssl_verify_client on;
		ssl_client_certificate authority.crt;
		ssl_ocsp on;
		ssl_ocsp_responder http://127.0.0.1:%%PORT_8081%%/;',
	body => '$ssl_client_verify $ssl_session_reused',
);
$t->plan(20);

###############################################################################

my $cert = $t->testdir() . '/client';
my ($worker) = $other->workers();
my $connections = connections($worker);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @client = (version => $version, cert => $cert);

	my $session = made(@client);
	my $asked = $responder->asked();

	is(tls_get(8444, @client, session => $session)->{body}, 'SUCCESS r',
		"$version, resumed");
	is($responder->asked() - $asked, 1, "$version, asked on resumption");

	# an answer that is slow, and one that comes when the client has left

	$responder->signal('STOP');

	my @waiting = map { tls_hello(8444, @client, session => $session)
		->handshake() } 1 .. 5;
	my @leaving = splice @waiting, 2;
	undef @leaving;

	$responder->signal('CONT');

	is(join(', ', map { $_->get('/')->{body} } @waiting),
		'SUCCESS r, SUCCESS r', "$version, resumed after a slow answer");
	is(tls_get(8444, @client, session => $session)->{body}, 'SUCCESS r',
		"$version, resumed after clients that left");

	$responder->revoke('client');

	my $r = tls_get(8444, @client, session => $session);

	is($r->{reused}, 1, "$version, revoked, resumed");
	like($r->{response}, qr/ 400 /, "$version, revoked, refused");
	ok(wait_until(sub {
		!grep { $redis->has_key($redis->key(session_id($_))) }
			$r->{session}, $session
	}), "$version, revoked, sessions deleted");

	$responder->revoke();

	is(tls_get(8444, @client, session => made(@client))->{body},
		'SUCCESS r', "$version, resumed when it is good again");

	undef @waiting;

	ok(wait_until(sub { connections($worker) <= $connections + 1 }),
		"$version, no connections left");
}

is(join(' ', $other->workers()), $worker, 'same worker');
is(tls_get(8444, version => 'TLSv1.3')->{response} =~ / (400) /, 1,
	'no certificate, refused');

###############################################################################

sub made {
	my (@client) = @_;

	my $r = tls_get(8443, @client);
	$redis->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
