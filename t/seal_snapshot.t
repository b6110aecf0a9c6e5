#!/usr/bin/perl

# Machines woken from one snapshot of a virtual machine's memory draw the same
# random bytes.  Their sessions are told apart all the same.  Without it two
# clients get one session id: the record of one replaces the other's, whose
# handshake then fails, and two records under one key and nonce tell each other's
# secrets to who reads the store.

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

    remote_ssl_session_cache on port=%%PORT_8379%% key=cache.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "";
        }
    }
}

EOC

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
my $key = seal_key($t, 'cache.key');
$t->write_file_expand('nginx.conf', $config);

# libssl draws its own by another function

$t->write_file('random.c', <<'EOF');

int
RAND_bytes(unsigned char *buffer, int length)
{
    static unsigned  state;

    while (length--) {
        state = state * 1103515245 + 12345;
        *buffer++ = state >> 16;
    }

    return 1;
}

EOF

my $dir = $t->testdir();

system("cc -shared -fPIC -o $dir/random.so $dir/random.c") == 0
	or die "Can't compile\n";

{
	local $ENV{LD_PRELOAD} = "$dir/random.so";
	$t->plan(8)->run();
	SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);
}

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my ($one, $two) = map { full($version, $_) } 8443, 8444;

	is(nonce($one), nonce($two), "$version, random bytes repeat");
	ok(session_id($one) ne session_id($two), "$version, ids do not");

	is(resumes($version, 8444, $one), 1, "$version, resumed");
	is(resumes($version, 8443, $two), 1, "$version, resumed the other way");
}

###############################################################################

sub full {
	my ($version, $port) = @_;

	my $session = tls_get($port, version => $version)->{session};
	$redis->wait_id(name($session));

	return $session;
}

sub resumes {
	my ($version, $port, $session) = @_;

	my $r = tls_get($port, version => $version, session => $session);

	return $r->{reused} // $r->{error};
}

sub nonce {
	my ($session) = @_;

	my $record = $redis->command('GET', $redis->key(name($session)));
	my (undef, undef, $nonce) = read_record($key, session_id($session), $record);

	return unpack 'H*', $nonce;
}

sub name {
	my ($session) = @_;

	return seal_name($key, session_id($session));
}

###############################################################################
