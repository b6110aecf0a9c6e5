#!/usr/bin/perl

# Behind an nginx that passes connections on by the name in the ClientHello, with
# a PROXY protocol header in front of it, to one machine of a fleet after the
# other: sessions are resumed on each, for either name, and the client's address
# is the one of the header.  Otherwise all clients of such a fleet pay for full
# handshakes.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = has_stream(Test::Nginx->new())
	->has(qw/stream_realip stream_ssl_preread/);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    map $ssl_preread_server_name $backend {
        one.example  one;
        two.example  two;
    }

    upstream one {
        server 127.0.0.1:8451;
        server 127.0.0.1:8461;
    }

    upstream two {
        server 127.0.0.1:8452;
        server 127.0.0.1:8462;
    }

    server {
        listen  127.0.0.1:8443;

        ssl_preread     on;
        proxy_protocol  on;
        proxy_pass      $backend;
    }
}

EOF

my $behind = store_config(<<'EOF');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    ssl_protocols  TLSv1.2 TLSv1.3;

    log_format  stream  '$server_port $ssl_session_reused '
                        '$remote_ssl_session_cache_status $proxy_protocol_addr';
    access_log  %%TESTDIR%%/stream.log stream;

    remote_ssl_session_cache type=%%STORE%% port=%%PORT_8379%%;

    server {
        listen  127.0.0.1:8451 ssl proxy_protocol;

        ssl_certificate      one.crt;
        ssl_certificate_key  one.key;

        return  "$server_port $ssl_session_reused $proxy_protocol_addr";
    }

    server {
        listen  127.0.0.1:8452 ssl proxy_protocol;

        ssl_certificate      two.crt;
        ssl_certificate_key  two.key;

        # and once more, to what is to know the client as well
        set_real_ip_from  127.0.0.1;
        proxy_protocol    on;
        proxy_pass        127.0.0.1:8453;
    }

    server {
        listen  127.0.0.1:8453 proxy_protocol;
        return  "$proxy_protocol_addr";
    }
}

EOF

my $store = store($t);
certificate($t, $_) foreach 'one', 'two';

$t->plan(29)->run();
SSLSessionCache::Nginx->new($t, 'a', $behind);
SSLSessionCache::Nginx->new($t, 'b', $behind =~ s/:845(\d)/:846$1/gr);

###############################################################################

my $count = 8;
my ($a, $b) = map { port($_) } 8451, 8461;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $one = made($version, 'one', 1);
	my @got = map { get($version, 'one', $_, session => $one->{session}) }
		1 .. $count;

	like($one->{body}, qr/^(?:$a|$b) \. 127\.0\.0\.1$/, "$version, made");
	is(grep({ $_->{reused} } @got), $count, "$version, resumed");
	is(grep({ $got[$_ - 1]{body} =~ / r 127\.0\.0\.$_$/ } 1 .. $count), $count,
		"$version, with the client's address");
	is(grep({ $_->{body} =~ /^$a / } @got), $count / 2, "$version, half on A");
	is(grep({ $_->{body} =~ /^$b / } @got), $count / 2, "$version, half on B");

	my $two = made($version, 'two', 1);
	@got = map { get($version, 'two', $_, session => $two->{session}) }
		1 .. $count;

	is($two->{body}, '127.0.0.1', "$version, two, made");
	is(grep({ $_->{reused} } @got), $count, "$version, two, resumed");
	is(grep({ $got[$_ - 1]{body} eq "127.0.0.$_" } 1 .. $count), $count,
		"$version, two, with the client's address passed on");

	# names do not open each other, and keep what is their own

	@got = map { get($version, 'two', $_, session => $one->{session}) } 1, 2;

	is(grep({ !defined $_->{error} && !$_->{reused} } @got), 2,
		"$version, not resumed under the other name");
	is(get($version, 'one', 2, session => $one->{session})->{reused}, 1,
		"$version, still resumed under its own");

	# a ClientHello in pieces, as the one in front and the machine behind it see it

	my $client = SSLSessionCache::Hello->new(version => $version,
		sni => 'one.example', session => $one->{session});
	my $got = stream_talk($client->send(8443, unpack '(a64)*', $client->hello()));

	is($got->{reused}, 1, "$version, in pieces, resumed");
}

foreach my $port (8452, 8462) {
	my @lines = log_lines($t, $port, $count + 3);

	is(grep({ /^r HIT 127\.0\.0\.[1-$count]$/ } @lines), $count,
		"$port, resumed, the log says");
	is(grep({ /^\. UNUSED / } @lines), 2, "$port, of no use, the log says");
}

# what has no name that is known, and what is no TLS, ends there

is(get('TLSv1.3', 'three', 1)->{body}, undef, 'an unknown name');
is(stream_get(8451, sni => 'one.example')->{body}, undef, 'without a header');
is(get('TLSv1.3', 'one', 1)->{version}, 'TLSv1.3', 'served afterwards');

###############################################################################

sub made {
	my ($version, $name, $client) = @_;

	my $r = get($version, $name, $client);
	$store->wait_id(session_id($r->{session}));

	return $r;
}

# What a client gets by a name, whose address ends with a number.

sub get {
	my ($version, $name, $client, %opts) = @_;

	my $socket = IO::Socket::INET->new(
		PeerAddr => '127.0.0.1:' . port(8443),
		LocalAddr => "127.0.0.$client",
	)
		or die "connect() failed: $!\n";

	return stream_get(8443, %opts, version => $version, socket => $socket,
		sni => "$name.example");
}

###############################################################################
