#!/usr/bin/perl

# Whatever somebody who can write to the store does to a record, the client gets
# an ordinary full handshake, which is counted, and the record is deleted.
# Without it a store that was broken into could hand out sessions of its own, or
# fail handshakes.

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

$t->write_file_expand('nginx.conf', <<'EOC');

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
        server_name  localhost;

        remote_ssl_session_cache on port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache on port=%%PORT_8379%% key=cache.key;

        ssl_session_timeout 2s;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache on port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8447 ssl;
        server_name  localhost;

        remote_ssl_session_cache on port=%%PORT_8379%% key=cache.key
                                 prefix=another:;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
my $key = seal_key($t, 'cache.key');

$t->plan(50)->run();

###############################################################################

# TLS 1.2: a session keeps its id, and can be offered again and again

my $session = full('TLSv1.2', 8443);
my $another = full('TLSv1.2', 8443);
my $name = stored($session);
my $record = $redis->command('GET', $name);

is(offer('TLSv1.2', 8443, $session)->{reused}, 1, 'untouched');

foreach my $bit (8, 70, 72, 167, 168, 700, 8 * length($record) - 1) {
	my $changed = $record;
	vec($changed, $bit, 1) ^= 1;
	invalid($changed, "bit $bit");
}

foreach my $length (0, 1, 20, 21, 36, 37, 100, length($record) - 1) {
	invalid(substr($record, 0, $length), "cut to $length");
}

invalid($record . "\0", 'one byte more');
invalid("\2" x 16384, 'noise');
invalid($redis->command('GET', stored($another)), 'of another session');

$redis->command('SET', $name, $record);
is(offer('TLSv1.2', 8443, $session)->{reused}, 1, 'put back');

# another prefix

$redis->command('SET', 'another:' . unpack('H*', seal_name($key,
	session_id($session))), $record);
refused('TLSv1.2', 8447, $session, 'with another prefix');

# put back after its time

my $old = full('TLSv1.2', 8444);
my $kept = $redis->command('GET', stored($old));
my ($expiry) = unpack 'x Q>', $kept;
is(offer('TLSv1.2', 8444, $old)->{reused}, 1, 'in its time');

select undef, undef, undef, 0.1 while time() <= $expiry + 1;
substr $kept, 1, 8, pack 'Q>', time() + 300;
$redis->command('SET', stored($old), $kept);
refused('TLSv1.2', 8444, $old, 'with another time');

# sealed where records are in clear: the server asks for it by the id itself

$redis->command('SET', $redis->key(session_id($session)), $record);
refused('TLSv1.2', 8446, $session, 'sealed, without a key');

# TLS 1.3

my ($one, $two) = map { full('TLSv1.3', 8443) } 1, 2;
my @records = map { $redis->command('GET', stored($_)) } $one, $two;

$redis->command('SET', stored($one), $records[1]);
$redis->command('SET', stored($two), $records[0]);

refused('TLSv1.3', 8443, $_, 'swapped') foreach $one, $two;

$redis->command('SET', stored($one), $records[0]);
is(offer('TLSv1.3', 8443, $one)->{reused}, 1, 'swapped back');

###############################################################################

sub full {
	my ($version, $port) = @_;

	my $r = tls_get($port, version => $version);
	$redis->wait_id(seal_name($key, session_id($r->{session})));

	return $r->{session};
}

sub stored {
	my ($session) = @_;

	return $redis->key(seal_name($key, session_id($session)));
}

sub offer {
	my ($version, $port, $session) = @_;

	return tls_get($port, version => $version, session => $session);
}

sub invalid {
	my ($changed, $what) = @_;

	$redis->command('SET', $name, $changed);
	refused('TLSv1.2', 8443, $session, $what);
}

sub refused {
	my ($version, $port, $session, $what) = @_;

	$redis->forget_calls();

	my $r = offer($version, $port, $session);
	is($r->{error} // "$r->{reused} $r->{body}", '0 INVALID', $what);
	is($redis->wait_calls('delete', 1), 1, "$what, deleted");
}

###############################################################################
