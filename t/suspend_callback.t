#!/usr/bin/perl

# OpenSSL has room for one callback on ClientHellos.  Where another module has set its
# own, as OpenResty's Lua does, it stays: handshakes wait in another way, and the log
# says why, or the configuration is refused where this way is demanded.  Otherwise
# what that module does with handshakes, as refusing them, would not happen any more.

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
	->has_daemon('openssl')->has_daemon('redis-server')->has_daemon('cc');

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
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=auto;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

# In place of another module: nginx sets the context of each SSL_CTX's sessions, and
# by then its own callback.  The declarations are OpenSSL's; other programs that are run
# have no such functions.

$t->write_file('foreign.c', <<'EOF');

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*callback_t)(void *ssl, int *alert, void *arg);
typedef int (*set_context_t)(void *ctx, const unsigned char *id, unsigned len);

extern __attribute__((weak)) void SSL_CTX_set_client_hello_cb(void *ctx,
    callback_t callback, void *arg);
extern __attribute__((weak)) int SSL_client_hello_get0_ext(void *ssl, unsigned type,
    const unsigned char **out, size_t *len);

static char  refused[] = "refused.example";

static int
callback(void *ssl, int *alert, void *arg)
{
    size_t                len;
    const unsigned char  *name;

    if (SSL_client_hello_get0_ext(ssl, 0, &name, &len)
        && memmem(name, len, arg, strlen(arg)))
    {
        *alert = 49;
        return 0;
    }

    return 1;
}

int
SSL_CTX_set_session_id_context(void *ctx, const unsigned char *id, unsigned len)
{
    SSL_CTX_set_client_hello_cb(ctx, callback, refused);

    if (getenv("FOREIGN_TELLS")) {
        fprintf(stderr, "a foreign callback is set\n");
    }

    return ((set_context_t) dlsym(RTLD_NEXT, "SSL_CTX_set_session_id_context"))
        (ctx, id, len);
}

EOF

my $dir = $t->testdir();
my $foreign = "$dir/foreign.so";

system("cc -shared -fPIC -o $foreign $dir/foreign.c -ldl") == 0
	or die "Can't compile\n";

my $retry = $config =~ s/=auto/=retry/r;
my $patched = (check_config($t, $retry))[0] !~ /is not possible/;
my $jobs = (check_config($t, $config =~ s/=auto/=async/r))[0] !~ /is not possible/;

# Behind the default server, where its way is not looked at.

my $server = <<'EOF';

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  named;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=retry;
    }
EOF

my ($other, $refusal, $named);

{
	local @ENV{qw/ LD_PRELOAD FOREIGN_TELLS /} = ($foreign, 1);
	($refusal) = check_config($t, $retry);
	($named) = check_config($t, $config =~ s/=auto/=hello/r =~ s/(?=^\}\n+\z)/$server/mr);
}

plan(skip_all => 'OpenSSL is linked statically')
	unless $refusal =~ /a foreign callback is set/;

$t->write_file_expand('nginx.conf', $config)->plan(15)->run();

{
	local $ENV{LD_PRELOAD} = $foreign;
	$other = SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);
}

###############################################################################

my $room = qr/another module has set a callback on ClientHellos/;
my $not_patched = qr/this nginx is not patched/;

like($t->read_file('error.log'), $patched
	? qr/suspended with .*\(suspend=retry\), the best way/
	: qr/suspended with .*\(suspend=hello\), as suspend=retry is not .*: $not_patched/,
	'nobody else');

my $way = $jobs ? 'async' : 'hello';
my $why = $patched ? $room : $not_patched;

like($other->error_log(), qr/suspended with .*\(suspend=$way\), as suspend=retry is not .*: $why/,
	'somebody else');
like($refusal, qr/\[emerg\].*"suspend=retry" of .* is not possible for server "localhost" in \S+:\d+: $why/,
	'forced');
like($named, qr/"named" in \S+ has no effect .*test is successful/s,
	'forced behind a default server');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	is(get(8443, $version, sni => 'refused.example')->{body}, '.',
		"$version, nobody refuses");
	like(get(8444, $version, sni => 'refused.example')->{error}, qr/access denied/,
		"$version, refused by somebody else");

	my $r = get(8444, $version, sni => 'localhost');
	is($r->{body}, '.', "$version, not refused");

	$redis->wait_id(session_id($r->{session}));
	my %offer = (sni => 'localhost', session => $r->{session});

	is(get(8443, $version, %offer)->{body}, 'r', "$version, resumed");
	is(get(8444, $version, %offer)->{body}, 'r', "$version, resumed beside it");
}

like(get(8444, 'TLSv1.3', sni => 'refused.example')->{error}, qr/access denied/,
	'refused after a resumption');

###############################################################################

sub get {
	my ($port, $version, %opts) = @_;

	return tls_get($port, version => $version, %opts);
}

###############################################################################
