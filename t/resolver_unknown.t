#!/usr/bin/perl

# With nginx's resolver a store's name that nobody knows is no reason for nginx
# not to start, or not to take a new certificate: it is looked up again.  Without
# one nginx says what would help.  Otherwise a name server that is away for a
# moment keeps a web server down.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::NameServer;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on addr=unknown.invalid port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        resolver     127.0.0.1:%%PORT_8953_UDP%% ipv6=off;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
my $names = SSLSessionCache::NameServer->new($t, port => 8953,
	addresses => []);
certificate($t, 'localhost');

$t->plan(11);

my ($output, $status) = check_config($t, $config =~ s/resolver .*//r);
isnt($status, 0, 'not without a resolver');
like($output, qr/\[emerg\].*\ cannot\ resolve\ parameter
	\ "addr",\ expected\ .*:\ redis\ unknown\.invalid:\d+;\ .*"resolver"/x, 'what would help');

($output, $status) = check_config($t, $config);
is($status, 0, 'valid with a resolver');
like($output, qr/\[warn\].* cannot resolve .*: redis unknown\.invalid:\d+; /,
	'warned of');

$t->write_file_expand('nginx.conf', $config)->run();

###############################################################################

ok(wait_until(sub { $names->questions() > 2 }), 'asked again');
my $r = resumed();
is($r->{reused}, 0, 'full handshakes');
is(() = $t->read_file('error.log') =~ /redis\ unknown\.invalid:\d+\ cannot\ be
	\ resolved:\ Host\ not\ found;\ no\ sessions\ are\ found/gx, 1, 'told once');

$names->answer('127.0.0.1');
ok(wait_until(sub { resumed()->{reused} }), 'resumed when it is known');

# workers that begin anew

my ($connection) = $redis->clients();

$t->reload();
ok(wait_until(sub { my @ids = $redis->clients();
	@ids == 1 && $ids[0] != $connection }), 'reloaded');
ok(wait_until(sub { resumed()->{reused} }), 'resumed after a reload');
like($t->read_file('error.log'), qr/unknown\.invalid:\d+ is resolved again$/m,
	'told that it is known');

###############################################################################

sub resumed {
	my $r = tls_get(8443, version => 'TLSv1.2');

	return tls_get(8443, version => 'TLSv1.2', session => $r->{session});
}

###############################################################################
