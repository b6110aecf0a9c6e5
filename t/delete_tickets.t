#!/usr/bin/perl

# nginx refuses the certificate of a client with TLS 1.3, which has two tickets by
# then.  Neither resumes its session: not from the store, and not from the tier
# of the machine.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

certificate($t, $_) foreach 'client', 'stranger';

my ($redis) = pair($t,
	server => 'ssl_session_cache shared:SSL:1m;
		ssl_verify_client on;
		ssl_client_certificate client.crt;',
	body => '',
);
$t->plan(10);

###############################################################################

my $dir = $t->testdir();

foreach my $case ([ 'client', 200, 1 ], [ 'stranger', 400, 0 ]) {
	my ($name, $status, $resumes) = @$case;
	my @sessions = tickets($name, $status);

	is(@sessions, 2, "$name, two tickets");
	$redis->wait_id(session_id($_)) foreach $resumes ? @sessions : ();
	$redis->wait_keys(0) unless $resumes;

	foreach my $number (0, 1) {
		is(resumed($_, $name, $sessions[$number]), $resumes,
			"$name, ticket $number, $_") foreach 8443, 8444;
	}

	$redis->clear();
}

###############################################################################

# The sessions of all tickets of a handshake.

sub tickets {
	my ($name, $status) = @_;

	my @sessions;
	my $client = tls_hello(8443, version => 'TLSv1.3', cert => "$dir/$name");
	my $ctx = Net::SSLeay::get_SSL_CTX($client->{ssl});

	Net::SSLeay::CTX_set_session_cache_mode($ctx,
		Net::SSLeay::SESS_CACHE_CLIENT());
	Net::SSLeay::CTX_sess_set_new_cb($ctx, sub {
		push @sessions, Net::SSLeay::i2d_SSL_SESSION($_[1]);
		return 0;
	});

	my $r = $client->get('/');
	like($r->{response}, qr/^HTTP\S+ $status/, "$name, answered")
		if $r->{response} !~ /^HTTP\S+ $status/;

	Net::SSLeay::CTX_sess_set_new_cb($ctx, undef);

	return @sessions;
}

sub resumed {
	my ($port, $name, $session) = @_;

	return tls_get($port, version => 'TLSv1.3', session => $session,
		cert => "$dir/$name")->{reused};
}

###############################################################################
