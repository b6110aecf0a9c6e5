#!/usr/bin/perl

# What docs/emergency.md and docs/stores.md tell to do when a key has leaked, to
# end one session, or to turn all off has that effect, in the commands that are
# there.  Sessions in the local cache outlive a reload: without another name for
# its zone they are still resumed.  Otherwise who follows the page believes that
# a thief has nothing any more.

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
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();
my $dir = $t->testdir();

my ($flush) = content('emergency.md') =~ /^ *\$ (redis-cli --scan .*)/m;
my ($end_one) = content('stores.md')
	=~ /^### To delete one session\n.*?^```console\n(\$ id=.*?)^```/ms;

seal_key($t, "$_.key") foreach 'old', 'new';

my %now = (cache => 'key=old.key', zone => 'shared:one:1m', http => '');
my $redis = single($t, options());
my @versions = ('TLSv1.2', 'TLSv1.3');

$t->plan(33);

###############################################################################

# a key has leaked

my @made = made();

run_command($flush);
is($redis->count(), 0, 'flushed');

change($t, cache => 'key=new.key');
resumed($_, 1, 'zone of before') foreach @made;

change($t, zone => 'shared:two:1m');
resumed($_, 0, 'another zone') foreach @made;

# with ticket keys as well

change($t, http => 'remote_ssl_session_tickets on;');
@made = made(tickets => 1);

change($t, cache => 'key=old.key');
resumed($_, 0, 'tickets, another key') foreach @made;

# one session, by its id

change($t, http => '', zone => 'none');

foreach my $r (made()) {
	my $id = unpack 'H*', session_id($r->{session});
	is($r->{body}, $id, "$r->{version}, id in nginx's log") if $r->{version} eq 'TLSv1.2';

	my $count = $redis->count();
	run_command($end_one =~ s/^\$ //mgr =~ s/^id=.*/id=$id/mr
		=~ s/cache\.key/$dir\/old.key/r);
	is($redis->count(), $count - 1, "$r->{version}, one is deleted");
	resumed($r, 0, 'deleted');
}

# all off

change($t, zone => 'shared:three:1m');
@made = made();
change($t, zone => 'off');
resumed($_, 0, 'off') foreach @made;

change($t, http => 'remote_ssl_session_tickets on;', zone => 'none');
@made = made(tickets => 1);
change($t, zone => 'off');
resumed($_, 0, 'tickets, off') foreach @made;

# what is left, nginx's own tickets, can be turned off as well

made(tickets => 1);
change($t, http => 'ssl_session_tickets off;');
resumed(tls_get(8443, version => $_), 0, 'nothing is left') foreach @versions;

###############################################################################

# A session of each version that is in the store, or in a ticket, and resumed.

sub made {
	my (%opts) = @_;

	return map {
		my $r;
		wait_until(sub {
			$r = tls_get(8443, version => $_, no_tickets => !$opts{tickets});
			return offered($r);
		});
		resumed($r, 1, 'made');
		$r;
	} @versions;
}

sub offered {
	my ($r) = @_;

	return tls_get(8443, version => $r->{version},
		session => $r->{session})->{reused};
}

sub resumed {
	my ($r, $expected, $name) = @_;

	is(offered($r), $expected, "$r->{version}, $name, "
		. ($expected ? 'resumed' : 'not resumed'));
}

sub change {
	my ($t, %change) = @_;

	%now = (%now, %change);

	$t->write_file_expand('nginx.conf', config(options()));
	reload($t, 1) or die "no reload\n";
}

sub options {
	return (cache => $now{cache}, body => '$ssl_session_id',
		http => "ssl_session_cache $now{zone}; $now{http}");
}

sub run_command {
	my ($command) = @_;

	my $port = port(8379);
	$command =~ s/\bredis-cli\b/redis-cli -p $port/g;

	is(system('bash', '-euc', "exec >/dev/null; $command"), 0, 'command');
}

sub content {
	my ($name) = @_;

	local (@ARGV, $/) = "$FindBin::Bin/../docs/$name";

	return <>;
}

###############################################################################
