#!/usr/bin/perl

# A key is replaced while clients come and go: the new one is added behind, the
# two are swapped, the old one is dropped when its sessions are over.  On two
# machines, of which one is always a step ahead, not one resumption is lost.

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
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my %keys = map { $_ => seal_key($t, "$_.key") } 'old', 'new';

my @options = (main => 'worker_processes 2;', body => '$pid');
my ($redis, $other) = pair($t, cache => 'key=old.key', @options);
$t->plan(16);

###############################################################################

my @versions = ('TLSv1.2', 'TLSv1.3');
my $made = 0;
my @pool = map { full(8443), full(8444) } 1 .. 4;
minted_with('old');

rotate($t, 'key=old.key key=new.key', 'added');
minted_with('old');

rotate($t, 'key=new.key key=old.key', 'swapped');
@pool = map { full(8443), full(8444) } 1 .. 4;
minted_with('new');

rotate($t, 'key=new.key', 'dropped');
minted_with('new');

###############################################################################

# Takes a step on one machine and then on the other, with handshakes under way
# on both all the while.

sub rotate {
	my ($t, $parameters, $step) = @_;

	my @changed = (@options, cache => $parameters);

	$other->write_config(config(@changed, port => 8444));
	resumes_during($other->pid(), "$step on one");

	$t->write_file_expand('nginx.conf', config(@changed));
	resumes_during(master($t), "$step on both");
}

sub resumes_during {
	my ($master, $step) = @_;

	my %old = map { $_ => 1 } workers($master);
	my ($tried, $resumed, $until) = (0, 0, time() + 10);

	kill 'HUP', $master;

	while ($tried < 30 || grep { $old{$_} } workers($master)) {
		$tried += @pool;
		$resumed += resume_all();
		last if time() > $until;
	}

	is(grep({ $old{$_} } workers($master)), 0, "$step, workers are new");
	is($resumed, $tried, "$step, all resumed");
}

# A client that goes on with the session it got last.

sub full {
	my ($port) = @_;

	my $client = { port => $port, version => $versions[$made++ >> 1 & 1] };
	$client->{session} = tls_get($port, %$client)->{session};
	$redis->wait_id(name_of($client));

	return $client;
}

# All clients at a time, each on the machine where it was not the time before.

sub resume_all {
	my $resumed = 0;
	my @begun;

	foreach my $client (@pool) {
		my $port = $client->{port} = $client->{port} == 8443 ? 8444 : 8443;
		push @begun, eval { tls_hello($port, %$client) };
	}

	foreach my $client (@pool) {
		my $begun = shift @begun;
		my $r = eval { $begun->get('/') } // {};

		$client->{session} = $r->{session} if $r->{session};
		$redis->wait_id(name_of($client));
		$resumed += $r->{reused} // 0;
	}

	return $resumed;
}

sub minted_with {
	my ($name) = @_;

	my @ids = map { session_id($_->{session}) } full(8443), full(8444);

	is(grep({ seal_id($keys{$name}, $_) eq $_ } @ids), @ids,
		"minted with the $name key");
}

sub name_of {
	my ($client) = @_;

	my $id = session_id($client->{session});
	my ($key) = grep { seal_id($_, $id) eq $id } values %keys;

	return seal_name($key, $id);
}

###############################################################################
