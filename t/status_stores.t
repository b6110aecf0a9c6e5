#!/usr/bin/perl

# The status page has a row of its own for each store of the configuration, with
# the age of its key, and a reload that changes the stores keeps the counters
# of those that stay; one that fails changes nothing.  Otherwise the counters of
# one are taken for another's, and a key that nobody has replaced is not noticed.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

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

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% timeout=2s;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8378%%;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $made = time() - 86400;
utime $made, $made, $t->testdir() . '/cache.key';

$t->write_file_expand('nginx.conf', $config)->plan(15)->run();

###############################################################################

my ($kept, $gone, $new) = map { 'redis 127.0.0.1:' . port($_) }
	8379, 8378, 8377;

wait_status(sub { $_[0]{stores}[0]{workers}[0]{state} eq 'up' });
tls_get(8443, version => 'TLSv1.2');
tls_get(8444, version => 'TLSv1.2');
my $s = wait_status(sub { $_[0]{handshakes}{none} == 2 });
my %stores = map { $_->{name} => $_ } @{$s->{stores}};

is_deeply([ sort keys %stores ], [ sort $kept, $gone ], 'stores');
is($stores{$kept}{sessions_sent}, 1, 'a session is sent');
is($stores{$gone}{sessions_dropped}, 1, 'and one is not');
cmp_ok(abs($stores{$kept}{key_age} - 86400), '<', 60, 'age of the key');
is($stores{$kept}{key_time}, $made, 'its time');
my $id = $stores{$kept}{key_id};
like($id, qr/^[0-9a-f]{8}$/, 'its id');

is($stores{$gone}{$_}, undef, "no $_") foreach qw/ key_age key_time key_id /;
like(http_get('/status?format=prometheus'),
	qr/_key_timestamp_seconds\{store="$kept",type="redis",key_id="$id"\} $made$/m,
	'its time for Prometheus');

my $other = $config =~ s/PORT_8378/PORT_8377/r;

$t->write_file_expand('nginx.conf',
	$other =~ s!(?=listen .*:8080)!listen unix:%%TESTDIR%%/none/socket; !r);
$t->reload();

ok(wait_until(sub { $t->read_file('error.log') =~ /none.socket failed/ }),
	'a reload fails');
is_deeply([ sort map { $_->{name} } @{status()->{stores}} ],
	[ sort $kept, $gone ], 'the same stores');

$t->write_file_expand('nginx.conf', $other);
$t->reload();

$s = wait_status(sub { grep { $_->{name} eq $new } @{$_[0]{stores}} });
%stores = map { $_->{name} => $_ } @{$s->{stores}};

is_deeply([ sort keys %stores ], [ sort $kept, $new ], 'other stores');
is($stores{$kept}{sessions_sent}, 1, 'counters are kept');
is($stores{$new}{sessions_dropped}, 0, 'and begin at zero');

###############################################################################
