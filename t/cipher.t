#!/usr/bin/perl

# A session whose cipher this machine does not have, as one of ChaCha20 under
# FIPS, is a miss.  OpenSSL asks whether the client offers the cipher, and not
# whether it has it itself: the handshake would end with an alert, again and
# again, as long as the client keeps the session.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use Compress::Zlib;

use SSLSessionCache::Hello;
use SSLSessionCache::Redis;
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

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        ssl_ciphers  ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384;

        remote_ssl_session_cache port=%%PORT_8379%%;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }

    # a cipher that the default server does not take
    server {
        listen       127.0.0.1:8443 ssl;
        server_name  other;

        ssl_ciphers  ECDHE-ECDSA-CHACHA20-POLY1305;

        location / {
            return 200 $remote_ssl_session_cache_status;
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(4)->run();

###############################################################################

my $session = tls_get(8443, version => 'TLSv1.2',
	ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256')->{session};
my $id = session_id($session);

$redis->wait_id($id);
my $record = $redis->command('GET', $redis->key($id));

# GOST2012-GOST8912-GOST8912, which OpenSSL knows, and has with an engine alone

my ($aes, $gost) = ("\xc0\x2b", "\xff\x85");
my $hello = SSLSessionCache::Hello->new(version => 'TLSv1.2', session => $session,
	ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384')->hello();

$hello =~ s/\Q$aes\E\xc0,/$aes$gost/ or die "other ciphers\n";

is(answer($hello), 'resumed', 'a session as it was made');

my $text = substr $record, 0, -4;
$text =~ s/(?<=\x02\x02\x03\x03\x04\x02)\Q$aes\E/$gost/ or die "another cipher\n";
$redis->command('SET', $redis->key($id), $text . pack 'N', crc32($id . $text));
$redis->forget_calls();

is(answer($hello), 'full', 'a cipher that is not here, a full handshake');
is($redis->calls('delete'), 0, 'not deleted');

# which of its ciphers a server takes is not asked for: a named one has others

my %other = (version => 'TLSv1.2', sni => 'other',
	ciphers => 'ECDHE-ECDSA-CHACHA20-POLY1305');
my $r = tls_get(8443, %other);

$redis->wait_id(session_id($r->{session}));
is(tls_get(8443, %other, session => $r->{session})->{body}, 'HIT', 'resumed');

###############################################################################

# What comes of a ClientHello, by the record behind the ServerHello: the change of
# the cipher, or a certificate.

sub answer {
	my ($hello) = @_;

	my $socket = SSLSessionCache::Hello::connected(8443);
	my $answer = '';

	local $SIG{ALRM} = sub { die "timeout\n" };
	alarm(10);
	syswrite $socket, $hello;

	while (sysread $socket, $answer, 65536, length $answer) {
		my ($header, undef, $next) = unpack 'a3n/aa*', $answer;

		return 'alert' if "$header$next" =~ /^\x15|^...\x15/s;
		return 'resumed' if $next =~ /^\x14/;
		return 'full' if $next =~ /^\x16....\x0b/s;
	}

	return 'closed';
}

###############################################################################
