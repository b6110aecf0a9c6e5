#!/usr/bin/perl

# A Redis that does not let its clients have names, as the user lacks that right
# or the command has another name, is used as any other, and the log is silent.
# Otherwise whoever gave the module the rights that it needs loses the cache, or
# is told of a failure that is none.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $redis = SSLSessionCache::Redis->new($t);
my $renamed = SSLSessionCache::Redis->new($t, port => 8380,
	args => [ '--rename-command', 'CLIENT', 'OTHER' ]);

$redis->command('ACL', 'SETUSER', 'nginx', 'on', '>secret',
	'~sslsessioncache:*', qw/ -@all +get +setex +del +ping /);

my %caches = (
	right => 'port=%%PORT_8379%% user=nginx auth=secret',
	command => 'port=%%PORT_8380%%',
);

single($t, store => $redis, cache => $caches{right},
	http => <<'EOC');
    server {
        listen       127.0.0.1:8080;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
EOC

SSLSessionCache::Nginx->new($t, $_->[0], config(port => $_->[1],
	cache => $caches{$_->[2]})) foreach
	[ 'second', 8444, 'right' ],
	[ 'third', 8445, 'command' ],
	[ 'fourth', 8446, 'command' ];

$t->plan(7);

###############################################################################

foreach my $case ([ 'right', 8443, $redis ], [ 'command', 8445, $renamed ]) {
	my ($name, $port, $store) = @$case;

	my $made = tls_get($port, version => 'TLSv1.2');
	ok($store->wait_id(session_id($made->{session})), "no $name, stored");
	is(tls_get($port + 1, version => 'TLSv1.2',
		session => $made->{session})->{reused}, 1, "no $name, resumed");
}

my ($entry) = @{$redis->command('ACL', 'LOG')};
like("@$entry", qr/object client\|setname/, 'it was asked for');

my ($store) = @{status()->{stores}};
is($store->{failures}, 0, 'not counted as a failure');

unlike(join('', map { $t->read_file("$_.log") }
	qw/ error second third fourth /),
	qr/sslsessioncache: .*(?:down|refuse|NOPERM|unknown)/,
	'nothing in the log');

###############################################################################
