#!/usr/bin/perl

# A store that answers a PING, but leaves a connection unanswered once a session
# was stored over it, as a Redis that has stopped writes, holds few handshakes
# up.  Otherwise nearly every resumption would wait for as long as that lasts:
# whenever a new connection is made, it would pass for a healthy store again.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%% timeout=500ms;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$remote_ssl_session_cache_status $remote_ssl_session_cache_time";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(6)->run();

###############################################################################

my $r;
ok(wait_until(sub { $r = tls_get(8443, version => 'TLSv1.2');
	offer() =~ /^HIT/ }), 'resumed before');

$redis->command('CLIENT', 'PAUSE', 8000, 'WRITE');

my $end = time() + 7;
my (@waiting, @got);

while (time() < $end || @waiting) {
	if (time() < $end) {
		push @waiting, tls_hello(8443, version => 'TLSv1.2',
			session => $r->{session});
		tls_get(8443, version => 'TLSv1.2');
	}

	my @still;

	foreach my $client (@waiting) {
		if ($client->answered()) {
			push @got, eval { $client->get('/') } // {};
		} else {
			push @still, $client;
		}
	}

	@waiting = @still;
	sleep 0.03;
}

my @bodies = map { $_->{body} // 'failed' } @got;
my @waited = grep { / ([\d.]+)$/ && $1 > 0.1 } @bodies;

cmp_ok(scalar @got, '>', 50, 'handshakes');
is(grep({ $_ eq 'failed' } @bodies), 0, 'none fails');
cmp_ok(scalar @waited, '>', 0, 'the first ones wait');
cmp_ok(@waited / @got, '<', 0.3, 'few wait')
	or diag(scalar @waited, ' of ', scalar @got);

$redis->command('CLIENT', 'UNPAUSE');
ok(wait_until(sub { offer() =~ /^HIT/ }), 'resumed after');

###############################################################################

sub offer {
	return tls_get(8443, version => 'TLSv1.2',
		session => $r->{session})->{body} // '';
}

###############################################################################
