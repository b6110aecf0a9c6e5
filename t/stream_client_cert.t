#!/usr/bin/perl

# A session that is resumed in stream{} keeps the client's certificate and what
# came of verifying it, and opens no server that asks for more than the one it was
# made by.  Otherwise a client that has shown its certificate is refused when it
# comes back to another machine, or one that has shown none gets in.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = has_stream(Test::Nginx->new());

my $config = store_config(<<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%%;

    server {
        listen  127.0.0.1:8443 ssl;

        ssl_verify_client      on;
        ssl_client_certificate client.crt;

        return  "$ssl_client_verify $ssl_client_s_dn";
    }

    server {
        listen  127.0.0.1:8444 ssl;

        return  "$ssl_client_verify $ssl_client_s_dn";
    }

    server {
        listen  127.0.0.1:8445 ssl;

        ssl_verify_client      on;
        ssl_client_certificate stranger.crt;

        return  "$ssl_client_verify $ssl_client_s_dn";
    }

    server {
        listen  127.0.0.1:8446 ssl;

        ssl_verify_client      optional;
        ssl_client_certificate client.crt;

        return  "$ssl_client_verify $ssl_client_s_dn";
    }

    server {
        listen  127.0.0.1:8447 ssl;

        ssl_verify_client      on;
        ssl_client_certificate client.crt;

        proxy_pass  127.0.0.1:8380;
    }
}

EOF

my $store = store($t);
service($t);
certificate($t, $_) foreach 'localhost', 'client', 'stranger';

$t->write_file_expand('nginx.conf', $config)->plan(36)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/:844(\d)/:854$1/gr);

###############################################################################

my $dir = $t->testdir();

# what the one sees whose client certificate is this one, or who has none

my %servers = (
	8443 => [ 'client', '0 SUCCESS CN=client' ],
	8444 => [ undef, '0 NONE ' ],
	8445 => [ 'stranger', '0 SUCCESS CN=stranger' ],
	8446 => [ 'client', '0 SUCCESS CN=client' ],
);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $own (sort keys %servers) {
		my ($cert, $expected) = @{$servers{$own}};
		my $r = stream_get($own, version => $version,
			defined $cert ? (cert => "$dir/$cert") : ());
		my $name = "$version, $own";

		is(shown($r), $expected, "$name, made");
		$store->wait_id(session_id($r->{session}));

		is(offer($own + 100, $r), $expected =~ s/^0/1/r,
			"$name, resumed on the other machine");

		# without a certificate: what is not resumed is refused, or is nobody

		my @wrong = grep { $_ != $own } sort keys %servers;
		my @got = map { offer($_ + 100, $r) } @wrong;

		is("@got", join(' ', map { $_ == 8444 || $_ == 8446
			? '0 NONE ' : 'closed' } @wrong), "$name, opens no other");
	}

	# one that is passed on to a service

	my %client = (version => $version, echo => 'x' x 1000);
	my $r = stream_get(8447, %client, cert => "$dir/client");
	$store->wait_id(session_id($r->{session}));
	my $got = stream_get(8547, %client, session => $r->{session});

	is($got->{reused}, 1, "$version, to a service, resumed");
	is($got->{body}, $client{echo}, "$version, to a service, answered");

	# refused, and then not resumed either

	$r = stream_get(8443, version => $version, cert => "$dir/stranger");
	is(shown($r), 'closed', "$version, unknown certificate");

	$store->forget_calls();
	is(offer(8543, $r), 'closed', "$version, unknown certificate, again");
	is($store->calls('get'), 1, "$version, unknown certificate, is looked up");

	is(shown(stream_get(8443, version => $version)), 'closed',
		"$version, no certificate");
}

###############################################################################

# What is answered to the one that offers a session, and no certificate.

sub offer {
	my ($port, $r) = @_;

	return shown(stream_get($port, version => $r->{version},
		session => $r->{session}));
}

sub shown {
	my ($r) = @_;

	return $r->{error} // ($r->{body} eq '' ? 'closed' : "$r->{reused} $r->{body}");
}

###############################################################################
