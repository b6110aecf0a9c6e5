#!/usr/bin/perl

# A record that is sound and of no use here is a miss: it is not deleted, and is
# no alarm.  Machines differ: in certificates while one is renewed, in clocks,
# and in versions of OpenSSL.  Otherwise one of them takes the sessions of all.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use Compress::Zlib;

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

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        ssl_session_timeout 2s;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        ssl_session_timeout 2s;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'renewed';
my $key = seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config)->plan(28)->run();
SSLSessionCache::Nginx->new($t, 'renewed',
	$config =~ s/844(\d)/845$1/gr =~ s/localhost\.(crt|key)/renewed.$1/gr);
SSLSessionCache::Nginx->new($t, 'twin', $config =~ s/844(\d)/846$1/gr);

###############################################################################

my @versions = ('TLSv1.2', 'TLSv1.3');

# a renewed certificate, on the machine that has it already

foreach my $version (@versions) {
	foreach my $port (8443, 8444) {
		my $session = made($port, $version);

		elsewhere($port + 10, $version, $session,
			"$version, $port, another certificate");
		is(offer($port + 20, $version, $session), '1 HIT',
			"$version, $port, the same one");
	}
}

# a clock that is ahead: the time of the session is over, which clients of TLS 1.3
# see for themselves

my %old = map { $_ => made($_, 'TLSv1.2') } 8445, 8446;

$redis->persist(key($_, $old{$_})) foreach keys %old;
select undef, undef, undef, 3.5;

elsewhere($_ + 20, 'TLSv1.2', $old{$_}, "$_, too old") foreach keys %old;

# a session with a field that only a later OpenSSL knows

foreach my $version (@versions) {
	my $session = made(8443, $version);
	my $name = key(8443, $session);
	my $record = $redis->command('GET', $name);

	my ($length, $fields) = $record =~ /^\x30\x81(.)(.*)....$/s;
	my $text = "\x30\x81" . chr(ord($length) + 5) . "$fields\xbf\x63\x02\x05\x00";

	$redis->command('SET', $name, $text
		. pack 'N', crc32(session_id($session) . $text));
	elsewhere(8463, $version, $session, "$version, a later OpenSSL");
}

# a record of another format of ours

foreach my $version (@versions) {
	my $session = made(8444, $version);
	my $name = key(8444, $session);
	my $record = $redis->command('GET', $name);

	$redis->command('SET', $name, "\x01" . substr $record, 1);
	elsewhere(8464, $version, $session, "$version, another format");
}

# one that was damaged is another matter

foreach my $version (@versions) {
	my $session = made(8444, $version);
	my $name = key(8444, $session);

	$redis->command('SETRANGE', $name, 60, 'damage');
	$redis->forget_calls();
	is(offer(8464, $version, $session), '0 INVALID', "$version, damaged");
	is($redis->wait_calls('delete', 1), 1, "$version, damaged, deleted");
}

###############################################################################

sub elsewhere {
	my ($port, $version, $session, $what) = @_;

	$redis->forget_calls();
	is(offer($port, $version, $session), '0 UNUSED', $what);
	is($redis->calls('delete'), 0, "$what, not deleted");
}

sub made {
	my ($port, $version) = @_;

	my $session = tls_get($port, version => $version)->{session};
	my $id = session_id($session);

	$redis->wait_id(id_in_store($port, $session));

	return $session;
}

sub id_in_store {
	my ($port, $session) = @_;

	my $id = session_id($session);

	return $port % 2 ? $id : seal_name($key, $id);
}

sub key {
	return $redis->key(id_in_store(@_));
}

sub offer {
	my ($port, $version, $session) = @_;

	my $r = tls_get($port, version => $version, session => $session);

	return $r->{error} // "$r->{reused} $r->{body}";
}

###############################################################################
