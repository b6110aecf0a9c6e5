#!/usr/bin/perl

# A reload that takes the module out of the configuration unloads it while its
# connections are open.  The new workers must serve TLS, and a reload that takes
# it in again must resume.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my @options = (body => '$pid $ssl_session_reused');
my $redis = single($t, @options);
$t->plan(7);

###############################################################################

resumes('loaded');

my $globals = join "\n", map { "$_;" }
	'pid %%TESTDIR%%/nginx.pid', 'error_log %%TESTDIR%%/error.log debug';
my $without = config(@options) =~ s/%%TEST_GLOBALS%%/$globals/r
	=~ s/remote_ssl_session_cache.*;/ssl_session_tickets off;/r;

reconfigure($t, $without);

my @got = map { tls_get(8443) } 1 .. 20;
is(grep({ defined $_->{body} } @got), 20, 'unloaded, handshakes');
is(offer(tls_get(8443)), 0, 'unloaded, not resumed');
is($redis->clients(), 0, 'unloaded, no connection');

reconfigure($t, config(@options));
resumes('loaded again');

###############################################################################

sub reconfigure {
	my ($t, $config) = @_;

	$t->write_file_expand('nginx.conf', $config);
	ok(reload($t, 1), 'reloaded');
}

sub resumes {
	my ($name) = @_;

	ok(wait_until(sub { offer(tls_get(8443)) }), "$name, resumed");
}

sub offer {
	my ($r) = @_;

	return tls_get(8443, session => $r->{session})->{reused};
}

###############################################################################
