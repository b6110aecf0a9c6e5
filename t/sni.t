#!/usr/bin/perl

# Two names on one socket, each with client certificates of its own: a session
# made for one opens nothing of the other, and offering it is no error.  nginx
# before 1.26.3 lets it cross by itself (CVE-2025-23419), and later ones, before
# 1.29.2, end the handshake with an alert.  Otherwise a client that one virtual
# host trusts gets into the other.

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

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  one.example;

        remote_ssl_session_cache on port=%%PORT_8379%%;

        ssl_verify_client      on;
        ssl_client_certificate one.crt;

        location / {
            return 200 "$server_name $ssl_client_verify";
        }
    }

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  two.example;

        remote_ssl_session_cache on port=%%PORT_8379%%;

        ssl_verify_client      on;
        ssl_client_certificate two.crt;

        location / {
            return 200 "$server_name $ssl_client_verify";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'one', 'two';

$t->write_file_expand('nginx.conf', $config)->plan(16)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8445/gr);

###############################################################################

my $dir = $t->testdir();

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $name ('one', 'two') {
		my $foreign = $name eq 'one' ? 'two' : 'one';
		my $case = "$version, $name";

		my $made = full($version, 8443, $name);

		is($made->{body}, "$name.example SUCCESS", "$case, made");
		is(offer(8445, $made, $name), "1 $name.example SUCCESS",
			"$case, resumed elsewhere");
		is(offer(8445, $made, $foreign), '0 400',
			"$case, does not open the other");
		is(offer(8445, $made, $name), "1 $name.example SUCCESS",
			"$case, still resumed");
	}
}

###############################################################################

sub full {
	my ($version, $port, $name) = @_;

	my $r = tls_get($port, version => $version, sni => "$name.example",
		cert => "$dir/$name");
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

# What the client gets that offers a session under a name.

sub offer {
	my ($port, $r, $name) = @_;

	my $got = tls_get($port, version => $r->{version}, sni => "$name.example",
		session => $r->{session});

	return $got->{error} if defined $got->{error};

	return "$got->{reused} " . ($got->{response} =~ m{^HTTP/1.1 200}
		? $got->{body} : substr $got->{response}, 9, 3);
}

###############################################################################
