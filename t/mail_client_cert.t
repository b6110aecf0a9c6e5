#!/usr/bin/perl

# A session that is resumed in mail{} keeps the client's certificate, and one of
# a server that asks for none is not resumed where one is asked for.  Otherwise a
# client that has shown its certificate is refused on another machine, or one that
# has none gets in.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

certificate($t, $_) foreach 'client', 'stranger';

# The server behind is told whose certificate it is

my @options = (
	cache => 'type=%%STORE%%',
	user => '$http_auth_ssl_verify:$http_auth_ssl_subject',
);

my ($store) = mail_pair($t, @options, server => 'ssl_verify_client on;
	ssl_client_certificate client.crt;');
SSLSessionCache::Nginx->new($t, 'open', mail_config($t, @options,
	offset => 4));
$t->plan(48);

###############################################################################

my $dir = $t->testdir();
my $welcome = '1 OK SUCCESS:CN=client secret';

# mail{} has no servers by name: whether a client says one is all the same

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $way ([ 8993, 'localhost' ], [ 8143, 'localhost' ], [ 8993, '' ]) {
		my ($port, $sni) = @$way;
		my $name = "$version, port $port, name '$sni'";
		my @client = (version => $version, sni => $sni);
		my @owner = (@client, cert => "$dir/client");

		my $session = stored(mail_get($port, @owner));
		my $r = mail_get($port + 1, @client, session => $session);

		is($r->{reused}, 1, "$name, resumed");
		is($r->{login}, $welcome, "$name, with its certificate");

		# Of a server that does not ask

		$session = stored(mail_get($port + 4, @client));
		is(mail_get($port + 4, @client, session => $session)->{login},
			'1 OK : secret', "$name, not asked");

		$r = mail_get($port, @client, session => $session);
		is($r->{reused}, undef, "$name, not resumed where asked");
		like($r->{error}, qr/No required SSL certificate/,
			"$name, refused where asked");

		$r = mail_get($port, @owner, session => $session);
		is("$r->{reused} $r->{login}", "0 $welcome",
			"$name, full handshake with a certificate");

		# nginx takes the session of a client that it refuses out of the cache

		$store->clear();
		$r = mail_get($port, @client, cert => "$dir/stranger");
		like($r->{error}, qr/SSL certificate error/,
			"$name, unknown certificate");
		ok(wait_until(sub { $store->count() == 0 }),
			"$name, its session is deleted");
	}
}

###############################################################################

sub stored {
	my ($r) = @_;

	$store->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
