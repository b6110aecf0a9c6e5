#!/usr/bin/perl

# The status page tells the handshakes of http{}, stream{} and mail{} apart, as
# JSON and for Prometheus, beside all of them together.  Otherwise mail clients
# that never resume are lost among the visitors of web pages who do.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()
	->has(qw/http http_ssl stream stream_ssl mail mail_ssl socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8443 ssl;
        listen       127.0.0.1:8080;
        server_name  localhost;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

stream {
    server {
        listen      127.0.0.1:8444 ssl;
        proxy_pass  127.0.0.1:8080;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
    }
}

mail {
    auth_http  127.0.0.1:8080/auth;

    server {
        listen    127.0.0.1:8445 ssl;
        protocol  imap;

        ssl_certificate     localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols       TLSv1.2 TLSv1.3;

        remote_ssl_session_cache port=%%PORT_8379%% interval=1m timeout=10s;
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->plan(15)->run();

###############################################################################

# So many full handshakes with each, and one resumption less.

my %ports = (http => 8443, stream => 8444, mail => 8445);
my %full = (http => 3, stream => 4, mail => 5);

foreach my $name (sort keys %ports) {
	my @made = map { made($redis, $ports{$name}, $_ % 2 ? 'TLSv1.2' : 'TLSv1.3') }
		1 .. $full{$name};
	my @got = map { visit($ports{$name}, %$_) } @made[1 .. $#made];

	is(grep({ $_->{reused} } @got), $full{$name} - 1, "$name resumes");
}

my $s = wait_status(sub { sum($_[0]{handshakes}) == 21 });

is_deeply([ sort keys %{$s->{frontends}} ], [ sort keys %ports ], 'frontends');

my ($text) = http_get('/status?format=prometheus') =~ /\r\n\r\n(.*)/s;
my $metric = 'nginx_remote_ssl_session_cache_handshakes_total';
my %told;
$told{$1}{$2} = $3
	while $text =~ /^$metric\{frontend="(\w+)",result="(\w+)"\} (\d+)$/mg;

foreach my $name (sort keys %ports) {
	my $counts = $s->{frontends}{$name};

	is($counts->{none}, $full{$name}, "$name, full handshakes");
	is($counts->{hit}, $full{$name} - 1, "$name, resumptions");
	is(sum($counts), 2 * $full{$name} - 1, "$name, nothing else");
}

is($s->{handshakes}{hit}, 9, 'all together');
is_deeply(\%told, $s->{frontends}, 'the same for Prometheus');

###############################################################################

# A session in the store, as one to offer.

sub made {
	my ($redis, $port, $version) = @_;

	my %made = (version => $version,
		session => visit($port, version => $version)->{session});
	$redis->wait_id(session_id($made{session}));

	return \%made;
}

# A client that is served and leaves.  Of mail it is the server that speaks first.

sub visit {
	my ($port, %opts) = @_;

	my $client = tls_hello($port, %opts)->handshake();

	$client->read() if $port == 8445;
	$client->write($port == 8445 ? "a LOGOUT\r\n" : "GET / HTTP/1.0\r\n\r\n");
	1 while length $client->read();

	return { reused => $client->reused(), session => $client->session() };
}

sub sum {
	my ($counts) = @_;

	my $sum = 0;
	$sum += $_ foreach values %$counts;

	return $sum;
}

###############################################################################
