#!/usr/bin/perl

# A client of TLS 1.2 has a ticket of its own, and sends the session id of another
# beside it.  Whether its handshake fails, or its connection later, the session
# of the other stays.  Otherwise who has seen an id on the wire takes resumption
# from whom he likes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    ssl_session_tickets on;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        ssl_session_cache shared:SSL:1m;
        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
my $key = seal_key($t, 'cache.key');

$t->plan(14)->run();

###############################################################################

foreach my $case ([ 8443, 'HIT' ], [ 8444, 'LOCAL' ]) {
	my ($port, $expected) = @$case;

	my $own = tls_get($port, version => 'TLSv1.2')->{session};
	my $others = tls_get($port, version => 'TLSv1.2', no_tickets => 1)
		->{session};
	my $id = (fields($others))[3];

	$redis->wait_id($port == 8444 ? seal_name($key, $id) : $id);
	$redis->forget_calls();

	my ($own_id, $own_secret) = (fields($own))[3, 4];
	is(length $own_id, length $id, "$port, a ticket with an id");

	my $ticket = $own =~ s/\Q$own_id\E/$id/r;
	my $false = $ticket =~ s/\Q$own_secret\E/'x' x length $own_secret/er;

	# without the secret of its own session, the handshake fails

	like(tls_get($port, version => 'TLSv1.2', session => $false)->{error},
		qr/TLS failed/, "$port, handshake fails");

	# and what cannot be decrypted ends a connection

	my $client = tls_hello($port, version => 'TLSv1.2', session => $ticket);
	is($client->handshake()->reused(), 1, "$port, resumed by its ticket");
	spoil($client);

	is($redis->calls('delete'), 0, "$port, not deleted");

	my $r = tls_get($port, version => 'TLSv1.2', no_tickets => 1,
		session => $others);
	is("$r->{reused} $r->{body}", "1 $expected", "$port, resumed by its client");

	# a client's own session goes as ever

	$client = tls_hello($port, version => 'TLSv1.2', no_tickets => 1,
		session => $others);
	is($client->handshake()->reused(), 1, "$port, resumed again");
	spoil($client);

	is($redis->wait_calls('delete', 1), 1, "$port, deleted by its client");
}

###############################################################################

# Sends a record that cannot be decrypted, and waits for the end.

sub spoil {
	my ($client) = @_;

	my $socket = $client->socket();

	$socket->blocking(1);
	syswrite $socket, "\x17\x03\x03\x00\x20" . 'x' x 32;
	1 while sysread $socket, my $answer, 1024;
}

# The contents of the fields of an SSL_SESSION.

sub fields {
	my ($der) = @_;

	my ($sequence) = SSLSessionCache::TLS::_elements($der);

	return map { $_->[1] } SSLSessionCache::TLS::_elements($sequence->[1]);
}

###############################################################################
