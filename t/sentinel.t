#!/usr/bin/perl

# The master that Sentinels name is where sessions are shared, whichever of the
# Sentinels can be asked.  Without it each failover ends with an edit of the
# configuration on every machine.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::RedisSentinel;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $key = seal_key($t, 'cache.key');
my $redis = SSLSessionCache::RedisSentinel->new($t);

my @options = (
	store => $redis,
	main => <<'EOM',
remote_ssl_session_store fleet {
    type     redis;
    sentinel mymaster;
    server   127.0.0.1:8361;
    server   localhost:%%PORT_8362%%;
    server   [::1]:%%PORT_8363%%;
}
EOM
);

pair($t, @options, cache => 'store=fleet');
SSLSessionCache::Nginx->new($t, "sealed$_", config(@options, port => $_,
	cache => 'store=fleet key=cache.key')) foreach 8445, 8446;
$t->plan(8);

###############################################################################

my $count = 20;
my %names = (
	clear => sub { $_[0] },
	sealed => sub { seal_name($key, $_[0]) },
);

resumes('clear', 'TLSv1.2', 8443, 8444);
resumes('clear', 'TLSv1.3', 8444, 8443);
resumes('sealed', 'TLSv1.2', 8446, 8445);
resumes('sealed', 'TLSv1.3', 8445, 8446);

my ($master, $replica) = $redis->nodes();
is(grep({ /flags=N .* cmd=(?:get|setex|role) / }
	split /\n/, $replica->command('CLIENT', 'LIST')), 0, 'replica is not used');

# all Sentinels but one are dead, with connections and without

my ($first, $second) = $redis->sentinels();
$redis->kill9($_) foreach $first, $second;

resumes('clear', 'TLSv1.3', 8443, 8444);

SSLSessionCache::Nginx->new($t, 'late', config(@options, port => 8447,
	cache => 'store=fleet'));
my $r = tls_get(8443, version => 'TLSv1.2');
ok(wait_until(sub { offer(8447, $r) }), 'one Sentinel, resumed by another machine');

# all are dead: the master that was named stays

$redis->kill9($_) foreach $redis->sentinels();
is(offer(8444, tls_get(8443, version => 'TLSv1.3')), 1, 'no Sentinel, resumed still');

###############################################################################

# Makes sessions, and offers each to the other machine.

sub resumes {
	my ($kind, $version, $from, $to) = @_;

	my @made = map { tls_get($from, version => $version) } 1 .. $count;

	$redis->wait_id($names{$kind}->(session_id($_->{session}))) foreach @made;

	is(grep({ offer($to, $_) } @made), $count, "$kind, $version, resumed");
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused};
}

###############################################################################
