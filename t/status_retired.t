#!/usr/bin/perl

# A worker of before a reload that serves its last client and has left the store
# is not shown as one whose store is down: without it, who reloads nginx with
# fewer workers gets an alert.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use IO::Socket::INET;

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::Status;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my %config = (http => 'server { listen 127.0.0.1:8080;'
	. ' location /status { remote_ssl_session_cache_status; }'
	. ' location /slow { limit_rate 100; return 200 ' . ('x' x 2000) . '; } }');

single($t, %config, main => 'worker_processes 2;');
$t->plan(4);

###############################################################################

my @workers = workers(2);
is(@workers, 2, 'two workers');

# a client of each of them

my @clients = map { my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080));
	print $s "GET /slow HTTP/1.0\r\n\r\n"; $s } 1 .. 16;
sleep 1;

$t->write_file_expand('nginx.conf', config(%config, main => 'worker_processes 1;'));
$t->reload();

my @left = workers(1);
is(@left, 1, 'one worker after a reload');
is($left[0]{state}, 'up', 'that is up');
ok(kill(0, map { $_->{pid} } @workers), 'another one is there');

###############################################################################

# Those that are shown, once there are so many of the newest.

sub workers {
	my ($count) = @_;

	my $status = wait_status(sub {
		my $shown = $_[0]{stores}[0]{workers};
		@$shown == $count && !grep { $_->{state} ne 'up' } @$shown;
	});

	return @{ $status->{stores}[0]{workers} };
}

###############################################################################
