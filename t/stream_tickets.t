#!/usr/bin/perl

# In stream{} as well, a ticket that one machine gives resumes on every other, and
# with the store gone: nothing is looked up.  Keys are the fleet's, those of http{}
# too, but its tickets open nothing here.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Clock;
use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = has_stream(Test::Nginx->new())->has(qw/http http_ssl rewrite/);

# after an hour has begun, where no seed but that of the hour is made

my $clock = SSLSessionCache::Clock->new($t, 'both');

my $config = store_config(<<'EOF');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
CLOCK

events {
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% key=cache.key timeout=300ms;
    remote_ssl_session_tickets on;

    log_format  stream  '$server_port $ssl_session_reused '
                        '$remote_ssl_session_cache_status';
    access_log  %%TESTDIR%%/stream.log stream;

    server {
        listen      127.0.0.1:8443 ssl;
        proxy_pass  127.0.0.1:8380;
    }

    server {
        listen  127.0.0.1:8444 ssl;
        return  "$ssl_session_reused $remote_ssl_session_cache_status";
    }

    server {
        listen  127.0.0.1:8445 ssl;

        remote_ssl_session_tickets off;

        return  "$ssl_session_reused $remote_ssl_session_cache_status";
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% key=cache.key timeout=300ms;
    remote_ssl_session_tickets on;

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        return 200 "$ssl_session_reused $remote_ssl_session_cache_status";
    }
}

EOF

my $store = store($t);
service($t);
seal_key($t, 'cache.key');
certificate($t, 'localhost');

$config =~ s/^CLOCK$/$clock->directives()/me;
$t->write_file_expand('nginx.conf', $config)->plan(23);

my $other = $clock->run(sub {
	$t->run();
	return SSLSessionCache::Nginx->new($t, 'other',
		$config =~ s/:844(\d)/:854$1/gr);
});

###############################################################################

my $count = 20;
my @versions = ('TLSv1.2', 'TLSv1.3');

ok(wait_until(sub { $store->count() == 1 }), 'one seed is stored');

my %made = map { $_ => make($_) } @versions;

resumed($_, 'made on A') foreach @versions;

# those of http{}: the same keys, and nothing of use here, nor the reverse

foreach my $version (@versions) {
	my $r = tls_get(8446, version => $version);
	my %client = (version => $version, session => $r->{session});

	is(tls_get(8546, %client)->{body}, 'r TICKET', "$version, http, resumed");
	like(stream_get(8444, %client)->{body}, qr/^\. /,
		"$version, http, not in stream");
	like(tls_get(8546, version => $version,
		session => $made{$version}[0]{session})->{body}, qr/^\. /,
		"$version, not in http");
}

# where tickets are off, in the same way as others

is(stream_get(8445, version => 'TLSv1.2', session =>
	$made{'TLSv1.2'}[0]{session})->{reused}, 0, 'not where tickets are off');

ok(wait_until(sub { $store->count() == 2 }), 'no session is stored but that one');

# over a reload, and without the store

ok(reload($t, 2), 'reloaded');
resumed($_, 'reloaded', 8444) foreach @versions;

$store->crash();
resumed($_, 'without the store') foreach @versions;

my @lines = log_lines($t, 8543, 4 * $count);
is(grep({ $_ eq 'r TICKET' } @lines), 4 * $count, 'the log says');

###############################################################################

sub make {
	my ($version) = @_;

	return [ map { stream_get(8443, version => $version, echo => 'made') }
		1 .. $count ];
}

# All that were made, on a machine and port.

sub resumed {
	my ($version, $name, $port) = @_;

	my @got = map { stream_get($port // 8543, version => $version,
		session => $_->{session}, at_once => 1,
		defined $port ? () : (echo => 'x' x 20_000)) } @{$made{$version}};
	my $body = defined $port ? 'r TICKET' : 'x' x 20_000;

	is(grep({ $_->{reused} } @got), $count, "$version, $name, resumed");
	is(grep({ $_->{body} eq $body } @got), $count, "$version, $name, answered");
}

###############################################################################
