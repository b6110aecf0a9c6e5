#!/usr/bin/perl

# A session with an extended master secret (RFC 7627) is offered to a server that
# does without: a full handshake, and no harm to the session.  Otherwise OpenSSL
# ends the handshake with an alert, again and again, as long as the client keeps
# the session.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        ssl_session_cache shared:SSL:1m;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(14)->run();

# without it

SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/845$1/gr
	=~ s/(ssl_certificate_key.*)/$1 ssl_conf_command Options -ExtendedMasterSecret;/r);

###############################################################################

my $with = made(8443, 'TLSv1.2');

foreach my $port (8453, 8454) {
	is(offer($port, $with), '0 UNUSED', "$port, a full handshake") foreach 1 .. 2;
	is($redis->calls('delete'), 0, "$port, not deleted");
}

is(offer(8443, $with), '1 HIT', 'resumed where it was made');

my $without = made(8453, 'TLSv1.2');

is(offer(8453, $without), '1 HIT', 'one without it, resumed');
is(offer(8454, $without), '1 HIT', 'one without it, put into the local tier');
is(offer(8454, $without), '1 LOCAL', 'one without it, from there');
is(offer(8443, $without), '0 UNUSED', 'one without it, where it is usual');

# TLS 1.3 has nothing of the kind

foreach my $port (8453, 8454) {
	my $session = made(8443, 'TLSv1.3');
	is(offer($port, $session), '1 HIT', "$port, TLSv1.3");
}

is(tls_get(8453, version => 'TLSv1.2')->{reused}, 0, 'a client without a session');

###############################################################################

sub made {
	my ($port, $version) = @_;

	my $session = tls_get($port, version => $version)->{session};
	$redis->wait_id(session_id($session));
	$redis->forget_calls();

	return [ $version, $session ];
}

sub offer {
	my ($port, $made) = @_;

	my ($version, $session) = @$made;
	my $r = tls_get($port, version => $version, session => $session);

	return $r->{error} // "$r->{reused} $r->{body}";
}

###############################################################################
