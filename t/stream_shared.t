#!/usr/bin/perl

# Equal directives in http{} and stream{} are one store: a worker has one
# connection to it.  Sessions do not cross, as nginx keeps those of the two apart,
# also with one certificate: what is offered in the wrong place costs a full
# handshake, and nobody else the session.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::Redis;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = has_stream(Test::Nginx->new())->has(qw/http http_ssl rewrite/);

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        return 200 "$ssl_session_reused $remote_ssl_session_cache_status";
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        return 200 "$ssl_session_reused $remote_ssl_session_cache_status";
    }
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

    server {
        listen  127.0.0.1:8444 ssl;

        return  "$ssl_session_reused $remote_ssl_session_cache_status";
    }

    server {
        listen  127.0.0.1:8446 ssl;

        remote_ssl_session_cache port=%%PORT_8379%% key=cache.key;

        return  "$ssl_session_reused $remote_ssl_session_cache_status";
    }
}

EOF

# the two blocks in the order of another administrator

my ($head, $http, $stream) = $config =~ /^(.*)(http \{.*?^\}\n)(.*)/ms;

my $redis = SSLSessionCache::Redis->new($t);
my $key = seal_key($t, 'cache.key');
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', $config)->plan(44)->run();
my $other = SSLSessionCache::Nginx->new($t, 'other',
	"$head$stream\n$http" =~ s/844(\d)/854$1/gr);

###############################################################################

my %id_in_store = (
	clear => sub { $_[0] },
	sealed => sub { seal_name($key, $_[0]) },
);

my %get = (
	http => \&tls_get,
	stream => \&stream_get,
);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	stays($version, 'clear', http => 8443, stream => 8444);
	stays($version, 'clear', stream => 8444, http => 8443);
	stays($version, 'sealed', http => 8445, stream => 8446);
	stays($version, 'sealed', stream => 8446, http => 8445);
}

# two workers of two machines, each of which has spoken to the store

ok(wait_until(sub { $redis->clients() == 4 }), 'a connection for each worker');
is($redis->clients(), 4, 'and no more');

# they stay one over a reload

ok(reload($t, 2), 'reloaded');
ok(wait_until(sub { $redis->clients() == 4 }), 'a connection for each new worker');

###############################################################################

# A session of one is not for the other, there nor on the other machine, and
# still for its owner.

sub stays {
	my ($version, $kind, $owner, $own, $stranger, $wrong) = @_;

	my $name = "$version, $kind, $owner";
	my $r = $get{$owner}->($own, version => $version);
	my $id = $id_in_store{$kind}->(session_id($r->{session}));
	my $offer = sub {
		my ($to, $port) = @_;
		my $got = $get{$to}->($port, version => $version,
			session => $r->{session});
		return $got->{error} // "$got->{reused} $got->{body}";
	};

	$redis->wait_id($id);
	$redis->forget_calls();

	is($offer->($stranger, $wrong), '0 . UNUSED', "$name, not in $stranger");
	is($offer->($stranger, $wrong + 100), '0 . UNUSED',
		"$name, not in $stranger of the other machine");
	is($offer->($owner, $own) . ', ' . $offer->($owner, $own + 100),
		'1 r HIT, 1 r HIT', "$name, still resumed");
	is($redis->calls('delete'), 0, "$name, nothing is deleted");
	ok($redis->has_key($redis->key($id)), "$name, is still there");
}

###############################################################################
