#!/usr/bin/perl

# Clients that come to another site are resumed there, from the store of the site
# that they were at; each site stores in its own store only.  Where ids tell their
# site, only the store that can have a session is asked.  Otherwise a change of
# the route costs a full handshake each, or each handshake a look at the far end
# of the world.

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
my ($one, $two) = map { store($t, port => $_) } 8371, 8372;

single($t, site(1));
SSLSessionCache::Nginx->new($t, 'two', config(site(2), port => 8444));
SSLSessionCache::Nginx->new($t, 'clear-one', config(site(1, 'clear'), port => 8445));
SSLSessionCache::Nginx->new($t, 'clear-two', config(site(2, 'clear'), port => 8446));
$t->plan(26);

###############################################################################

my $count = 20;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @made = made($version, 8443);

	is($two->count(), 0, "$version, stored in the site's own store only");
	is(resumed(8444, @made), $count, "$version, resumed at the other site");
	is($two->calls('get'), 0, "$version, its store need not be asked");
	is($one->calls('get'), $count, "$version, one lookup each");
	is($one->calls('put'), 0, "$version, nothing is written to the other store");
	is(resumed(8443, @made), $count, "$version, resumed at home");

	# what is made at the second site, offered at both

	@made = made($version, 8444);

	is(resumed(8444, @made), $count, "$version, resumed at the second site");
	is($one->calls('get'), 0, "$version, the first store need not be asked");
	is(resumed(8443, @made), $count, "$version, resumed at the first site");
}

# without a key an id does not tell: first here, then there

my @made = made('TLSv1.2', 8445);

is(resumed(8446, @made), $count, 'clear, resumed at the other site');
is($two->calls('get'), $count, 'clear, looked up here');
is($one->calls('get'), $count, 'clear, then there');
is($one->calls('put'), 0, 'clear, nothing is written there');

resumed(8445, @made);
is($two->calls('get'), $count, 'clear, found here, not looked up there');

# what neither has, and what is damaged there

$_->clear() foreach $one, $two;
is(resumed(8446, @made), 0, 'clear, in neither store, full handshakes');

my ($r) = made('TLSv1.2', 8445);
$one->put($one->key(session_id($r->{session})), 'x');
is(resumed(8446, $r), 0, 'damaged there, full handshake');
is($one->calls('delete'), 0, 'damaged there, left to that site');

###############################################################################

# Sessions that are stored at the site, and nothing else; calls count from here.

sub made {
	my ($version, $port) = @_;

	$_->clear() foreach $one, $two;

	my $own = $port == 8443 || $port == 8445 ? $one : $two;
	my @made = map { tls_get($port, version => $version) } 1 .. $count;
	my $records = $version eq 'TLSv1.3' ? 2 * $count : $count;

	$own->wait_keys($records);
	$_->forget_calls() foreach $one, $two;

	return @made;
}

sub resumed {
	my ($port, @sessions) = @_;

	return scalar grep { tls_get($port, version => $_->{version},
		session => $_->{session})->{reused} } @sessions;
}

# A machine of a site; the sites have numbers where ids are minted with a key.

sub site {
	my ($number, $clear) = @_;

	my @blocks = map {
		my ($own, $fallback) = @$_;
		my $site = $clear ? '' : "site $own;";

		<<"EOM";
remote_ssl_session_store site$own {
    type   %%STORE%%;
    server 127.0.0.1:837$own;
    $site
    $fallback
}
EOM
	} [ 3 - $number, '' ], [ $number, 'fallback site' . (3 - $number) . ';' ];

	return (
		store => $one,
		cache => "store=site$number" . ($clear ? '' : ' key=cache.key'),
		main => join('', @blocks),
	);
}

###############################################################################
