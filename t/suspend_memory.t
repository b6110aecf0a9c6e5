#!/usr/bin/perl

# Whether another module has set a callback on ClientHellos is read in OpenSSL's own
# memory.  Where somebody has OpenSSL take that from elsewhere than malloc(), nothing is
# read, and handshakes wait in another way.  Otherwise nginx would crash at start.

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

    remote_ssl_session_cache port=%%PORT_8379%% suspend=auto;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
$t->write_file_expand('nginx.conf', $config);

# In front of each block is what is no length of malloc()'s.  Other programs that are run
# have no such function.

$t->write_file('memory.c', <<'EOF');

#include <stdlib.h>
#include <string.h>

#define FRONT  256

extern __attribute__((weak)) int CRYPTO_set_mem_functions(
    void *(*malloc_fn)(size_t, const char *, int),
    void *(*realloc_fn)(void *, size_t, const char *, int),
    void (*free_fn)(void *, const char *, int));

static void *
fronted(char *block)
{
    return block ? (char *) memset(block, 0x7f, FRONT) + FRONT : NULL;
}

static void *
new_block(size_t size, const char *file, int line)
{
    return fronted(malloc(size + FRONT));
}

static void *
resized(void *block, size_t size, const char *file, int line)
{
    return fronted(realloc(block ? (char *) block - FRONT : NULL, size + FRONT));
}

static void
gone(void *block, const char *file, int line)
{
    free(block ? (char *) block - FRONT : NULL);
}

__attribute__((constructor)) static void
set(void)
{
    if (CRYPTO_set_mem_functions
        && !CRYPTO_set_mem_functions(new_block, resized, gone))
    {
        abort();
    }
}

EOF

my $dir = $t->testdir();

system("cc -shared -fPIC -o $dir/memory.so $dir/memory.c") == 0
	or die "Can't compile\n";

my $retry = $config =~ s/=auto/=retry/r;
my $patched = (check_config($t, $retry))[0] !~ /is not possible/;
my $refusal;

{
	local $ENV{LD_PRELOAD} = "$dir/memory.so";
	$t->plan(4)->run();
	($refusal) = check_config($t, $retry);
}

###############################################################################

my $why = $patched ? qr/it cannot be told whether/ : qr/this nginx is not patched/;

like($t->read_file('error.log'),
	qr/suspended with .*\(suspend=(?:async|hello)\), as suspend=retry is not .*: $why/,
	'another way');
like($refusal, qr/\[emerg\].*"suspend=retry" of .* is not possible for server "localhost" in \S+:\d+: $why/,
	'forced');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	is(tls_get(8443, version => $version, session => $r->{session})->{body}, 'r',
		"$version, resumed");
}

###############################################################################
