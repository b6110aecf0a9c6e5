#!/usr/bin/perl

# The Redis Sentinels that tests make up answer as real ones do, word for word,
# and tell of another master in the same words.  Otherwise what passes with them
# follows no failover of a user.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Socket::INET;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::RedisSentinel;
use SSLSessionCache::RespClient;
use SSLSessionCache::Sentinel;

###############################################################################

my $t = Test::Nginx->new();

my $real = SSLSessionCache::RedisSentinel->new($t);
my ($master, $replica) = map { $_->{port} } $real->nodes();
my $made = SSLSessionCache::Sentinel->new($t, ports => [ 8391 ],
	masters => { mymaster => [ '127.0.0.1', $master ] });

$t->plan(9);

###############################################################################

my %ports = (made => port(8391), real => ($real->sentinels())[0]{port});
my %asked = map { $_ => connected($ports{$_}) } keys %ports;
my %told = map { $_ => connected($ports{$_}) } keys %ports;

my @question = ('SENTINEL', 'get-master-addr-by-name', 'mymaster');

alike(\%asked, @question);
alike(\%asked, @question[0, 1], 'unknown');
alike(\%asked, 'PING');
alike(\%asked, 'NOSUCH');

# who listens

alike(\%told, 'SUBSCRIBE', '+switch-master');
alike(\%told, 'PING');
alike(\%told, @question);

$real->failover();
$made->switch('mymaster', '127.0.0.1', $replica);

is(reply($told{made}), reply($told{real}), 'told of a failover');
alike(\%asked, @question);

###############################################################################

sub alike {
	my ($sockets, @command) = @_;

	is(ask($sockets->{made}, @command), ask($sockets->{real}, @command),
		"@command");
}

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new("127.0.0.1:$port")
		// die "connect() failed: $!\n";
}

###############################################################################
