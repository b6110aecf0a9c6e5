#!/usr/bin/perl

# With suspend=retry, another module that sets a callback on ClientHellos once the
# configuration has been read takes the place of this one's: no session is looked up in
# the store any more.  The log tells of it, at the start, or once for each worker where
# it comes later.  Otherwise an operator would see full handshakes, and no reason.
# To the other ways to wait such a callback is nothing.

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

    remote_ssl_session_cache port=%%PORT_8379%% suspend=retry;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  one;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8453 ssl;
        server_name  two;
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

# In place of another module, with each SSL_CTX that nginx gives a context of sessions:
# at the first socket, which nginx opens once it has read its configuration; or with the
# first client.  The declarations are OpenSSL's; other programs that are run have no such
# functions.

$t->write_file('foreign.c', <<'EOF');

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*callback_t)(void *ssl, int *alert, void *arg);
typedef int (*set_context_t)(void *ctx, const unsigned char *id, unsigned len);
typedef int (*bind_t)(int fd, const struct sockaddr *addr, socklen_t len);
typedef void *(*ssl_new_t)(void *ctx);

extern __attribute__((weak)) void SSL_CTX_set_client_hello_cb(void *ctx,
    callback_t callback, void *arg);

static char       wanted[16];
static void      *contexts[8];
static unsigned   count;

static int
callback(void *ssl, int *alert, void *arg)
{
    return 1;
}

/* A worker has no environment. */

__attribute__((constructor)) static void
remember(void)
{
    const char  *when = getenv("FOREIGN_COMES");

    if (when) {
        strncpy(wanted, when, sizeof(wanted) - 1);
    }
}

static void
set(const char *when)
{
    while (strcmp(wanted, when) == 0 && count > 0) {
        SSL_CTX_set_client_hello_cb(contexts[--count], callback, NULL);
    }
}

int
SSL_CTX_set_session_id_context(void *ctx, const unsigned char *id, unsigned len)
{
    if (count < 8) {
        contexts[count++] = ctx;
    }

    if (getenv("FOREIGN_TELLS")) {
        fprintf(stderr, "a foreign function is called\n");
    }

    return ((set_context_t) dlsym(RTLD_NEXT, "SSL_CTX_set_session_id_context"))
        (ctx, id, len);
}

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    set("at start");

    return ((bind_t) dlsym(RTLD_NEXT, "bind"))(fd, addr, len);
}

void *
SSL_new(void *ctx)
{
    set("later");

    return ((ssl_new_t) dlsym(RTLD_NEXT, "SSL_new"))(ctx);
}

EOF

my $dir = $t->testdir();
my $foreign = "$dir/foreign.so";

system("cc -shared -fPIC -o $foreign $dir/foreign.c -ldl") == 0
	or die "Can't compile\n";

my $retries = (check_config($t, $config))[0] !~ /is not possible/;
$config =~ s/suspend=retry/suspend=auto/ unless $retries;

my $output;

{
	local @ENV{qw/ LD_PRELOAD FOREIGN_TELLS /} = ($foreign, 1);
	($output) = check_config($t, $config);
}

plan(skip_all => 'OpenSSL is linked statically')
	unless $output =~ /a foreign function is called/;

$t->write_file_expand('nginx.conf', $config)->plan(13)->run();

my ($start, $later);

{
	local @ENV{qw/ LD_PRELOAD FOREIGN_COMES /} = ($foreign, 'at start');
	$start = SSLSessionCache::Nginx->new($t, 'start', $config =~ s/84(.)3/84${1}4/gr);
	$ENV{FOREIGN_COMES} = 'later';
	$later = SSLSessionCache::Nginx->new($t, 'later', $config =~ s/84(.)3/84${1}5/gr);
}

###############################################################################

my $at_start = qr/handshakes of .* look up no sessions in the store: /;
my $at_client = qr/another module has set its callback on ClientHellos in place of this one's/;

unlike($t->read_file('error.log'), qr/$at_start|$at_client/, 'no other module');

my @said = $start->error_log() =~ /\[error\].*: ($at_start.*)/g;

is(@said, $retries ? 1 : 0, 'at the start, told once');

SKIP: {
	skip 'no suspend=retry here', 2 unless $retries;

	like($said[0],
		qr/of server "one" in \S+start\.conf:\d+, server "two" in \S+:\d+ look up/,
		'at the start, the servers');
	like($said[0], qr/another module has set .* use "suspend=async" or "suspend=hello"/,
		'at the start, what it is');
}

unlike($later->error_log(), qr/$at_start/, 'later, not at the start');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	is(resumed(8443, $version), 'r', "$version, no other module");
	is(resumed(8444, $version), $retries ? '.' : 'r', "$version, at the start");
	is(resumed(8445, $version), $retries ? '.' : 'r', "$version, later");
}

@said = $later->error_log() =~ /\[error\].*(: $at_client.*)/g;

is(@said, $retries ? 1 : 0, 'later, told once');

SKIP: {
	skip 'no suspend=retry here', 1 unless $retries;

	like($said[0], qr/: $at_client.* use "suspend=async" or "suspend=hello".*, client: /,
		'later, what it is');
}

###############################################################################

# Whether a session of the nginx without another module resumes.

sub resumed {
	my ($port, $version) = @_;

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return tls_get($port, version => $version, session => $r->{session})->{body};
}

###############################################################################
