#!/usr/bin/perl

# Of several servers each has a part of the sessions, the same one on every
# machine, in whatever order they are named.  Otherwise machines look for sessions
# where they are not, or one server has to hold all of them.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Seal;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $key = seal_key($t, 'cache.key');
my @stores = map { store($t, port => $_) } 8371 .. 8373;

single($t, options(8371, 8372, 8373));
another($t, 8444, '', 8373, 8371, 8372);
another($t, 8445, 'key=cache.key', 8372, 8371, 8373);
another($t, 8446, 'key=cache.key', 8371, 8373, 8372);
another($t, 8447, '', 8372, 8373);
$t->plan(15);

###############################################################################

my $count = 40;
my %names = (
	clear => sub { $_[0] },
	sealed => sub { seal_name($key, $_[0]) },
);

my @made = map { resumes('clear', $_, 8443, 8444) } 'TLSv1.2', 'TLSv1.3';

resumes('sealed', 'TLSv1.2', 8445, 8446);
resumes('sealed', 'TLSv1.3', 8446, 8445);

foreach my $store (@stores) {
	my $share = grep { $store->has_key(name($_)) } @made;
	cmp_ok($share, '>', @made / 10, "its share is at server $store->{port}");
}

is(grep({ places($_) != 1 } @made), 0, 'each at one server');

# what is damaged is deleted where it may be: two servers may have it

my ($r) = grep { $stores[0]->has_key(name($_)) && $_->{version} eq 'TLSv1.2' } @made;

$_->forget_calls() foreach @stores;
$stores[0]->put(name($r), 'x');
is(offer(8444, $r), 0, 'damaged, full handshake');
ok(wait_until(sub { !$stores[0]->has_key(name($r)) && deletes() == 2 }),
	'damaged, deleted');

# a server less moves its share only

my @others = grep { !$stores[0]->has_key(name($_)) && $_ != $r } @made;
is(grep({ offer(8447, $_) } @others), @others, 'resumed with a server less');

###############################################################################

# Makes sessions, and offers each to the other machine.

sub resumes {
	my ($kind, $version, $from, $to) = @_;

	my @made = map { tls_get($from, version => $version) } 1 .. $count;

	is(grep({ my $name = $names{$kind}->(session_id($_->{session}));
		wait_until(sub { grep { $_->has_key($_->key($name)) } @stores }) }
		@made), $count, "$kind, $version, stored");
	is(grep({ offer($to, $_) } @made), $count, "$kind, $version, resumed");

	return @made;
}

sub places {
	my ($r) = @_;

	return scalar grep { $_->has_key(name($r)) } @stores;
}

sub deletes {
	my $deletes = 0;
	$deletes += $_->calls('delete') foreach @stores;

	return $deletes;
}

sub name {
	my ($r) = @_;

	return $stores[0]->key(session_id($r->{session}));
}

sub offer {
	my ($port, $r) = @_;

	return tls_get($port, version => $r->{version},
		session => $r->{session})->{reused};
}

sub options {
	my (@ports) = @_;

	my $servers = join "\n", map { "    server 127.0.0.1:$_;" } @ports;

	return (
		store => $stores[0],
		cache => 'store=fleet',
		main => <<"EOM",
remote_ssl_session_store fleet {
    type %%STORE%%;
$servers
}
EOM
	);
}

sub another {
	my ($t, $port, $more, @ports) = @_;

	return SSLSessionCache::Nginx->new($t, "nginx$port",
		config(options(@ports), port => $port, cache => "store=fleet $more"));
}

###############################################################################
