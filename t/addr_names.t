#!/usr/bin/perl

# The store may be named by an IPv6 address or by a name; of a name with several
# addresses the first in order is used, whatever the order of the answer, and the
# next when that is down.  Otherwise machines use different ones, and a store
# that is reachable is taken for lost.

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
use SSLSessionCache::Wait;

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

        remote_ssl_session_cache addr=localhost port=%%PORT_8379%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=::1 port=%%PORT_8380%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=[::1] port=%%PORT_8380%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache addr=several.test port=%%PORT_8378%%;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $redis6 = SSLSessionCache::Redis->new($t, port => 8380, bind => '::1');
my $first = SSLSessionCache::Redis->new($t, port => 8378);
my $second = SSLSessionCache::Redis->new($t, port => 8378, bind => '127.0.0.2');
certificate($t, 'localhost');

# a name with several addresses, without a name server

$t->write_file('names.c', <<'EOF');

#define _GNU_SOURCE

#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

typedef int (*resolve_pt)(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **found)
{
    int               rc;
    resolve_pt        resolve;
    struct addrinfo  *second;

    resolve = (resolve_pt) dlsym(RTLD_NEXT, "getaddrinfo");

    if (node == NULL || strcmp(node, "several.test") != 0) {
        return resolve(node, service, hints, found);
    }

    rc = resolve("127.0.0.2", service, hints, found);

    if (rc == 0) {
        rc = resolve("127.0.0.1", service, hints, &second);
    }

    if (rc == 0) {
        (*found)->ai_next = second;
    }

    return rc;
}

EOF

my $dir = $t->testdir();

system("cc -shared -fPIC -o $dir/names.so $dir/names.c -ldl") == 0
	or die "Can't compile\n";

{
	local $ENV{LD_PRELOAD} = "$dir/names.so";
	$t->plan(9)->run();
}

###############################################################################

resumes($redis, 8443, 'name');
resumes($redis6, 8444, 'IPv6 address');
resumes($redis6, 8445, 'IPv6 address in brackets');
resumes($first, 8446, 'name with several addresses');
is(scalar $first->clients(), 1, 'first address is used');
is(scalar $second->clients(), 0, 'second address is not');

$first->crash();
resumes($second, 8446, 'second address of a name');

$second->crash();
is(failures(8446), 0, 'all addresses are down');

$second->start();
ok(wait_until(sub { resumed(8446) }), 'second address is up again');

###############################################################################

sub resumes {
	my ($store, $port, $name) = @_;

	ok(wait_until(sub { resumed($port) }), "$name, resumed");
}

sub resumed {
	my ($port) = @_;

	my $r = tls_get($port, version => 'TLSv1.2');

	return tls_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};
}

sub failures {
	my ($port) = @_;

	return grep { !defined $_->{body} } map { tls_get($port) } 1 .. 20;
}

###############################################################################
