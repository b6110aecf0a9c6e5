#!/usr/bin/perl

# Two sockets, each with a server of the same name and with client certificates
# of its own, behind a default server that asks for none: a client that one
# socket trusts does not get in at the other by its session, on no machine, and
# comes back to its own on all.  Before nginx 1.29.2 sessions are made and taken
# in the context of the default server, which is the same on both.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my %caches = (
	clear => 'remote_ssl_session_cache port=%%PORT_8379%%;',
	sealed => 'remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;',
	local => 'remote_ssl_session_cache port=%%PORT_8379%%;'
		. ' ssl_session_cache shared:local:1m;',
);

# by cache: the sockets of one and two, and those on the other machine

my %ports = (
	clear => { one => [ 8443, 8543 ], two => [ 8444, 8544 ] },
	sealed => { one => [ 8445, 8545 ], two => [ 8446, 8546 ] },
	local => { one => [ 8447, 8547 ], two => [ 8448, 8548 ] },
);

my @servers = map { my $cache = $_; map { [ $cache, $_ ] } 'one', 'two' }
	sort keys %caches;

SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'one', 'two';
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', config(0, @servers))->plan(36)->run();
SSLSessionCache::Nginx->new($t, 'other', config(1, reverse @servers));

###############################################################################

my $dir = $t->testdir();

foreach my $cache (sort keys %ports) {
	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		test($cache, $version, 'one', 'two');
		test($cache, $version, 'two', 'one');
	}
}

###############################################################################

sub test {
	my ($cache, $version, $name, $foreign) = @_;

	my $case = "$cache, $version, $name";
	my ($own, $twin) = @{$ports{$cache}{$name}};
	my @foreign = @{$ports{$cache}{$foreign}};

	my $r = tls_get($own, version => $version, sni => 'name.example',
		cert => "$dir/$name");

	# stored when the handshake is over: the client may know first
	ok(wait_until(sub { offer($twin, $r) eq "1 $name SUCCESS" }),
		"$case, resumed on the other machine");

	is(offer($foreign[0], $r), '0 400', "$case, not on the other socket");
	is(offer($foreign[1], $r), '0 400', "$case, not on that of the other machine");
}

# What the client gets that offers a session, and no certificate.

sub offer {
	my ($port, $r) = @_;

	my $got = tls_get($port, version => $r->{version}, sni => 'name.example',
		session => $r->{session});

	return $got->{error} if defined $got->{error};

	return "$got->{reused} " . ($got->{response} =~ m{^HTTP/1.1 200}
		? $got->{body} : substr $got->{response}, 9, 3);
}

sub config {
	my ($machine, @servers) = @_;

	return <<'EOC' . join('', map { server($machine, @$_) } @servers) . "}\n";

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
EOC
}

sub server {
	my ($machine, $cache, $ca) = @_;

	my $port = $ports{$cache}{$ca}[$machine];

	return <<EOC;

    server {
        listen       127.0.0.1:$port ssl default_server;
        server_name  default.example;

        $caches{$cache}

        ssl_reject_handshake on;
    }

    server {
        listen       127.0.0.1:$port ssl;
        server_name  name.example another.example;

        $caches{$cache}

        ssl_verify_client      on;
        ssl_client_certificate $ca.crt;

        location / {
            return 200 "$ca \$ssl_client_verify";
        }
    }
EOC
}

###############################################################################
