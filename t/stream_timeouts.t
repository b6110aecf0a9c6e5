#!/usr/bin/perl

# The timers that stream{} has for a connection do not end a handshake that waits
# for the store: before ssl_handshake_timeout it goes on as a full one, and
# proxy_timeout and preread_timeout count from its end.  Where nginx in front of
# it is less patient, nothing is left behind.  Otherwise a late store means
# failed connections.

# Measures time: in ci/test it runs alone.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;
use Time::HiRes qw/ time /;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = has_stream(Test::Nginx->new())->has('stream_ssl_preread');

$t->write_file_expand('nginx.conf', store_config(<<'EOF'));

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    log_format  stream  '$server_port $remote_ssl_session_cache_status';
    access_log  %%TESTDIR%%/stream.log stream;

    # a handshake begins with its timer, or with what has come already

    server {
        listen  127.0.0.1:8443 ssl;
        listen  127.0.0.1:8448 ssl proxy_protocol;
        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%% timeout=1h interval=1h;
        ssl_handshake_timeout 2s;
        proxy_pass  127.0.0.1:8380;
    }

    # the store is a second away

    server {
        listen  127.0.0.1:8444 ssl;
        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%% timeout=5s interval=1m;
        proxy_timeout 400ms;
        proxy_pass  127.0.0.1:8380;
    }

    server {
        listen  127.0.0.1:8445 ssl;
        remote_ssl_session_cache type=%%STORE%% port=%%PORT_8378%% timeout=5s interval=1m;
        ssl_preread on;
        preread_timeout 400ms;
        proxy_pass  127.0.0.1:8380;
    }

    # in front

    server {
        listen  127.0.0.1:8446;
        ssl_preread on;
        preread_timeout 400ms;
        proxy_pass  127.0.0.1:8445;
    }

    server {
        listen  127.0.0.1:8447;
        ssl_preread on;
        proxy_timeout 400ms;
        proxy_pass  127.0.0.1:8445;
    }
}

EOF

my $store = store($t);
SSLSessionCache::Link->new($t, delay => 0.5);
service($t);
certificate($t, 'localhost');

$t->plan(30)->run();

###############################################################################

my $worker = worker($t);
my $count = 10;
my @versions = ('TLSv1.2', 'TLSv1.3');
my %sessions = map { $_ => stream_get(8443, version => $_,
	echo => 'made')->{session} } @versions;

$store->wait_id(session_id($_)) foreach values %sessions;

# what is in front, or behind the end of TLS, waits as well

foreach my $version (@versions) {
	ok(wait_until(sub { offer(8444, $version)->{reused} }, 20),
		"$version, slow link is up");

	foreach my $port (8444, 8445, 8446) {
		my $r = offer($port, $version);

		is($r->{reused}, 1, "$version, $port, resumed");
		is($r->{body}, 'offered', "$version, $port, answered");
	}
}

# their time begins then, and is not forgotten

my $idle = begin(8444, 'TLSv1.3')->handshake();
$idle->write("*2\r\n");
is($idle->read(), '', 'proxy_timeout ends an idle connection');

# where the one in front is less patient, clients leave

undef $idle;
my $connections = settled($worker);
my @left = map { offer(8447, $_) } (@versions) x 3;
is(grep({ defined $_->{error} } @left), 6, 'proxy_timeout in front');
ok(wait_until(sub { connections($worker) <= $connections }),
	'nothing is left behind');
is(offer(8446, $_)->{reused}, 1, "$_, resumed after them") foreach @versions;

# a store that does not answer

foreach my $version (@versions) {
	is(offer(8443, $version)->{reused}, 1, "$version, store is up");
	is(stream_talk(begin_with_header(8448, $version), echo => 'x')->{reused}, 1,
		"$version, behind a header, store is up");
}

$store->freeze();

my $begin = time();
my @waiting = map { begin(8443, $_), begin_with_header(8448, $_) }
	(@versions) x $count;
my @got = map { eval { stream_talk($_, echo => 'late') } // { error => $@ } }
	@waiting;
my $took = time() - $begin;
@waiting = ();
my @statuses = (log_lines($t, 8443, 2 * $count + 4), log_lines($t, 8448, 2 * $count + 2));

is(grep({ ($_->{body} // '') eq 'late' } @got), 4 * $count, 'late, answered');
is(grep({ $_->{reused} } @got), 0, 'late, full ones');
is(grep({ /^(?:TIMEOUT|DOWN)$/ } @statuses), 4 * $count, 'late, and say why');
cmp_ok($took, '<', 10, 'well before the timeout of the store');

$store->thaw();

is(offer(8443, $_)->{body}, 'offered', "$_, served after them") foreach @versions;
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

sub begin {
	my ($port, $version) = @_;

	return tls_hello($port, version => $version,
		session => $sessions{$version});
}

# The same in one packet with what stands in front.

sub begin_with_header {
	my ($port, $version) = @_;

	my $client = SSLSessionCache::Hello->new(version => $version,
		session => $sessions{$version});

	return $client->send($port, "PROXY TCP4 192.0.2.1 192.0.2.2 4567 443\r\n"
		. $client->hello());
}

sub offer {
	my ($port, $version) = @_;

	return stream_get($port, version => $version, echo => 'offered',
		session => $sessions{$version}, at_once => 1);
}

###############################################################################
