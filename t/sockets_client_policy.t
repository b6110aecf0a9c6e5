#!/usr/bin/perl

# What nginx's session id context does not tell apart: authorities of one name,
# what is trusted without being asked for, and revocation.  A client that one
# server accepts, and another does not, must not get in there by its session,
# neither at another socket nor under another name.

###############################################################################

use warnings;
use strict;

use File::Copy;
use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Authority;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $dir = $t->testdir();

# two authorities called "ca", another one, and a client of each

foreach my $ca ('one', 'two') {
	SSLSessionCache::Authority->new($t, 'ca')->issue("client-$ca");
	copy("$dir/ca.$_", "$dir/$ca.$_") foreach 'crt', 'key';
}

SSLSessionCache::Authority->new($t, 'other')->issue('client-other');
revoke($t, 'one', 'client-one');

# by case: what one server says, what the other one says, and the client that
# only the first one accepts

my $one = 'ssl_client_certificate one.crt;';

my @cases = (
	[ 'authorities of one name', $one, 'ssl_client_certificate two.crt;',
		'client-one', 8443 ],
	[ 'trusted certificates', "$one ssl_trusted_certificate other.crt;",
		$one, 'client-other', 8446 ],
	[ 'revocation', $one, "$one ssl_crl one.crl;", 'client-one', 8449 ],
);

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

my $config = config();

$t->write_file_expand('nginx.conf', $config)->plan(8 * @cases)->run();
SSLSessionCache::Nginx->new($t, 'twin', $config =~ s/:84/:85/gr);

###############################################################################

foreach my $case (@cases) {
	my ($name, $first, $second, $client, $port) = @$case;

	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my $made = tls_get($port, version => $version,
			sni => 'name.example', cert => "$dir/$client");
		my $crossing = tls_get($port + 2, version => $version,
			sni => 'name.example', cert => "$dir/$client");

		ok(wait_until(sub {
			offer($port + 100, 'name.example', $made) eq '1 SUCCESS'
		}), "$name, $version, resumed on the other machine");

		is(offer($port + 1, 'name.example', $made), '0 400',
			"$name, $version, another socket");
		is(offer($port + 101, 'name.example', $made), '0 400',
			"$name, $version, another socket of the other machine");

		# before nginx 1.29.2 nginx refuses the handshake

		unlike(offer($port + 2, 'strict.example', $crossing), qr/SUCCESS/,
			"$name, $version, another name");
	}
}

###############################################################################

# What the client gets that offers a session, and no certificate.

sub offer {
	my ($port, $name, $r) = @_;

	my $got = tls_get($port, version => $r->{version}, sni => $name,
		session => $r->{session});

	return $got->{error} if defined $got->{error};

	return "$got->{reused} " . ($got->{response} =~ m{^HTTP/1.1 200}
		? $got->{body} : substr $got->{response}, 9, 3);
}

# NAME.crl of an authority, with one certificate in it.

sub revoke {
	my ($t, $ca, $name) = @_;

	my $dir = $t->testdir();

	$t->write_file('index.txt', '');
	$t->write_file('ca.conf', <<"EOC");
[ ca ]
default_ca = this
[ this ]
database = $dir/index.txt
default_md = sha256
default_crl_days = 10
EOC

	foreach my $what ("-revoke $dir/$name.crt", "-gencrl -out $dir/$ca.crl") {
		my $output = `openssl ca -config $dir/ca.conf -cert $dir/$ca.crt \\
			-keyfile $dir/$ca.key $what 2>&1`;
		die "openssl ca $what failed: $output\n" if $?;
	}
}

# For each case three sockets: one for each server, and one for both.

sub config {
	my @servers = map {
		my ($name, $first, $second, $client, $port) = @$_;

		map { default_server($_) } $port .. $port + 2;
	} @cases;

	push @servers, map {
		my ($name, $first, $second, $client, $port) = @$_;

		(server($port, 'name.example', $first),
			server($port + 1, 'name.example', $second),
			server($port + 2, 'name.example', $first),
			server($port + 2, 'strict.example', $second));
	} @cases;

	return <<'EOC' . join('', @servers) . "}\n";

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

EOC
}

sub default_server {
	my ($port) = @_;

	return <<EOC;
    server {
        listen       127.0.0.1:$port ssl default_server;
        server_name  default.example;
    }

EOC
}

sub server {
	my ($port, $name, $policy) = @_;

	return <<EOC;
    server {
        listen       127.0.0.1:$port ssl;
        server_name  $name;

        ssl_verify_client on;
        $policy

        location / {
            return 200 \$ssl_client_verify;
        }
    }

EOC
}

###############################################################################
