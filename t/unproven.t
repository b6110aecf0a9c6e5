#!/usr/bin/perl

# Who has seen a session's id on the wire can offer it, and cannot prove that the
# session is his.  Whatever he then does, the session stays, in the store and on
# the machine.  Otherwise he takes resumption from whom he likes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
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

    # in clear
    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    # sealed, and with a certificate of its own
    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        ssl_certificate     other.crt;
        ssl_certificate_key other.key;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    # with the tier of this machine
    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        ssl_session_cache shared:SSL:1m;
        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'other';
my $key = seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(24)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/844(\d)/845$1/gr);

###############################################################################

my $alert = "\x15\x03\x03\x00\x02\x02\x28";

foreach my $case ([ 8443, 8453, 'HIT' ], [ 8444, 8454, 'HIT' ],
	[ 8446, 8446, 'LOCAL' ])
{
	my ($made_on, $offered_on, $expected) = @$case;

	foreach my $version ('TLSv1.2', 'TLSv1.3') {
		my $session = made($made_on, $version);
		my $name = "$version, $made_on";

		# an alert in clear, while the handshake waits for the client's proof

		my $thief = SSLSessionCache::Hello->new(version => $version,
			session => $session);
		hangs_up($offered_on, $version eq 'TLSv1.2' ? $thief->hello()
			: without_proof(session_id($session)));

		is($redis->calls('delete'), 0, "$name, not deleted");
		is(offer($offered_on, $version, $session), "1 $expected",
			"$name, resumed by its client");
	}
}

# in another context: a name, or a socket, of another certificate

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $session = made(8444, $version);

	is(offer(8455, $version, $session), '0 UNUSED', "$version, elsewhere");
	hangs_up(8455, without_proof(session_id($session)));
	is($redis->calls('delete'), 0, "$version, elsewhere, not deleted");
	is(offer(8454, $version, $session), '1 HIT',
		"$version, elsewhere, resumed by its client");
}

is(join(' ', map { scalar workers($_) } master($t)), 1, 'one worker');

my @alerts = $t->read_file('error.log') =~ /exited on signal/g;
is(@alerts, 0, 'no crash');

# a proof that is wrong ends the handshake of the thief alone

my $session = made(8443, 'TLSv1.3');
hangs_up(8453, without_proof(session_id($session)));
is($redis->calls('delete'), 0, 'wrong proof, not deleted');
is(offer(8453, 'TLSv1.3', $session), '1 HIT', 'wrong proof, resumed');

# what is proved and then refused is dropped as ever: see t/delete.t

$session = made(8443, 'TLSv1.2');
is(offer(8453, 'TLSv1.2', $session), '1 HIT', 'an ordinary offer');
is($redis->calls('delete'), 0, 'an ordinary offer, not deleted');

###############################################################################

# A hello with a ticket, and zeros for the proof of having its secret.

sub without_proof {
	my ($id) = @_;

	return SSLSessionCache::Hello->new(version => 'TLSv1.3')->offering($id);
}

# Offers a session, waits for the answer, and sends an alert.

sub hangs_up {
	my ($port, $hello) = @_;

	my $socket = SSLSessionCache::Hello::connected($port);

	local $SIG{ALRM} = sub { die "timeout\n" };
	alarm(10);

	syswrite $socket, $hello;
	sysread $socket, my $answer, 65536;
	syswrite $socket, $alert;
	1 while sysread $socket, $answer, 65536;

	alarm(0);
}

sub made {
	my ($port, $version) = @_;

	my $session = tls_get($port, version => $version)->{session};
	my $id = session_id($session);

	$redis->wait_id($port == 8444 ? seal_name($key, $id) : $id);
	$redis->forget_calls();

	return $session;
}

sub offer {
	my ($port, $version, $session) = @_;

	my $r = tls_get($port, version => $version, session => $session);

	return $r->{error} // "$r->{reused} $r->{body}";
}

###############################################################################
