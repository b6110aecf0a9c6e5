#!/usr/bin/perl

# A ticket holds what was verified of its client: it must not resume where another
# server would not have accepted the certificate, on this machine or another, nor
# for another name.  A server that asks for certificates is kept apart as with
# sessions of the cache.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

my $config = store_config(<<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache   on type=%%STORE%% port=%%PORT_8379%% key=cache.key;
    remote_ssl_session_tickets on;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;
        location / { return 200 "localhost $ssl_session_reused"; }
    }

    server {
        listen       127.0.0.1:8453 ssl;
        server_name  localhost;
        ssl_verify_client      optional;
        ssl_client_certificate one.crt;
        location / { return 200 "one $ssl_session_reused $ssl_client_verify"; }
    }

    server {
        listen       127.0.0.1:8453 ssl;
        server_name  named;
        ssl_verify_client      optional;
        ssl_client_certificate one.crt;
        location / { return 200 "named $ssl_session_reused $ssl_client_verify"; }
    }

    server {
        listen       127.0.0.1:8463 ssl;
        server_name  localhost;
        ssl_verify_client      optional;
        ssl_client_certificate two.crt;
        location / { return 200 "two $ssl_session_reused $ssl_client_verify"; }
    }
}

EOC

my $store = store($t);

certificate($t, $_) foreach 'localhost', 'one', 'two';
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(17)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/:84(\d)3/:84${1}4/gr);

###############################################################################

my $d = $t->testdir();

ok(wait_until(sub { $store->count() }), 'a seed is stored');
select undef, undef, undef, 0.3;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my %one = made($version, 8453, cert => "$d/one");

	is(offer(8454, %one), 'one r SUCCESS', "$version, on another machine");
	is(offer(8453, %one, sni => 'named'), 'named . SUCCESS', "$version, another name");
	is(offer(8463, %one, cert => undef), 'two . NONE', "$version, other authorities");
	is(offer(8464, %one, cert => undef), 'two . NONE', "$version, and on another machine");
	is(offer(8443, %one, cert => undef), 'localhost .', "$version, no certificates");

	my %none = made($version, 8443);

	is(offer(8444, %none), 'localhost r', "$version, without a certificate");
	is(offer(8453, %none), 'one . NONE', "$version, where one is asked for");

	# nginx refuses a request of a name whose server verifies clients, in a
	# connection that was made for another

	unlike(offer(8453, %one, cert => undef, sni => 'named'), qr/SUCCESS/,
		"$version, another name without a certificate");
}

###############################################################################

sub made {
	my ($version, $port, %opts) = @_;

	return (version => $version, %opts,
		session => tls_get($port, version => $version, %opts)->{session});
}

sub offer {
	my ($port, %opts) = @_;

	return tls_get($port, %opts)->{body};
}

###############################################################################
