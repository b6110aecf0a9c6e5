#!/usr/bin/perl

# Whatever lies in the store instead of the session, the client gets an
# ordinary full handshake, and other clients do not notice.  Otherwise one bad
# record is a fatal alert for its client, for as long as it lies there.

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

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

my @cases = (
	[ 'empty', sub { '' } ],
	[ 'rubbish', sub { 'rubbish' } ],
	[ 'long rubbish', sub { "\xff" x 4000 } ],
	[ 'cut', sub { substr $_[0], 0, -1 } ],
	[ 'cut short', sub { substr $_[0], 0, 10 } ],
	[ 'longer', sub { "$_[0]x" } ],
	[ 'another byte first', sub { "x" . substr $_[0], 1 } ],
	[ 'another session', sub { $_[1] } ],
);

$t->write_file_expand('nginx.conf', $config)->plan(4 * (@cases + 2) + 2)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/8443/8444/r);

###############################################################################

# both workers are connected
my @clients;
wait_until(sub { @clients = ids(); @clients == 2 });

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $good = full($version);
	my $record = $redis->command('GET', key($good));

	foreach my $case (@cases) {
		my ($name, $spoil) = @$case;

		my $bad = full($version);
		my $spoilt = $spoil->($redis->command('GET', key($bad)), $record);
		$redis->command('SET', key($bad), $spoilt);

		is(offer($bad), 0, "$version, $name");
		is(offer($good), 1, "$version, $name, another client");
	}

	my $bad = full($version);
	$redis->command('DEL', key($bad));
	$redis->command('RPUSH', key($bad), 'list');

	is(offer($bad), 0, "$version, not a string");
	is(offer($good), 1, "$version, not a string, another client");
}

is(join(' ', ids()), join(' ', @clients), 'connections stay open');

# a reply that is larger than any record ends the connection, not the handshake

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my $bad = full($version);
	$redis->command('SET', key($bad), 'x' x (1024 * 1024));

	is(offer($bad), 0, "$version, huge");
	ok(wait_until(sub { offer(full($version)) }, 3), "$version, after it");
}

like($t->read_file('other.log') . $t->read_file('error.log'),
	qr/sslsessioncache: /, 'told in the log');

###############################################################################

sub full {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

# -1 of a handshake that failed.

sub offer {
	my ($r) = @_;

	return tls_get(8444, version => $r->{version},
		session => $r->{session})->{reused} // -1;
}

sub key {
	my ($r) = @_;

	return $redis->key(session_id($r->{session}));
}

sub ids {
	my @ids = sort map { /^id=(\d+)/ } $redis->clients();

	return @ids;
}

###############################################################################
