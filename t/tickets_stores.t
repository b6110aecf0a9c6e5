#!/usr/bin/perl

# Servers with different stores have different ticket keys, also where the stores
# have one address.  Otherwise a machine gives tickets of the one with the keys of
# the other, which no other machine opens.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Clock;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');
my $clock = SSLSessionCache::Clock->new($t, 'both');

my $server = <<'EOC';

    server {
        listen       127.0.0.1:PORT ssl;
        remote_ssl_session_cache   on port=%%PORT_8379%% db=DB key=cache.key;
        remote_ssl_session_tickets on;
        location / { return 200 "$ssl_session_reused"; }
    }
EOC

my $config = <<"EOC";

%%TEST_GLOBALS%%

daemon off;
@{[ $clock->directives() ]}

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    SERVERS
}

EOC

my $redis = SSLSessionCache::Redis->new($t);

certificate($t, 'localhost');
seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', $config =~ s/SERVERS/server(8443, 0) . server(8453, 1)/er);
$clock->run(sub { $t->plan(4)->run() });
$clock->run(sub { SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/SERVERS/server(8454, 1)/er) });

###############################################################################

ok(wait_until(sub { resumed(8453, 8454) && resumed(8454, 8453) }), 'the same store');
ok(!resumed(8443, 8453), 'another store on the same machine');
ok(!resumed(8443, 8454), 'and on another machine');
is(join(' ', $redis->command('INFO', 'keyspace') =~ /^(db\d+:keys=\d+)/mg),
	'db0:keys=1 db1:keys=1', 'a seed in each');

###############################################################################

sub server {
	my ($port, $db) = @_;

	return $server =~ s/PORT ssl/$port ssl/r =~ s/DB/$db/r;
}

sub resumed {
	my ($from, $to) = @_;

	my $session = tls_get($from, version => 'TLSv1.3')->{session};

	return tls_get($to, version => 'TLSv1.3', session => $session)->{reused};
}

###############################################################################
