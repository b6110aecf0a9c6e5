#!/usr/bin/perl

# A reload under load fails no handshake, goes on resuming, and leaves no old
# worker behind.  A timer or a connection of the store's client that keeps a
# worker from exiting would pile up workers with every reload.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl');

$t->write_file_expand('nginx.conf', store_config(<<'EOF'));

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on type=%%STORE%% port=%%PORT_8379%%;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "$ssl_session_reused";
        }
    }
}

EOF

my $store = store($t);
certificate($t, 'localhost');

$t->plan(6)->run();

###############################################################################

my $reloads = 5;
my $master = master($t);

pipe my $results, my $report or die "pipe() failed: $!\n";
my @loads = map { SSLSessionCache::Daemon->new($t)->launch(\&load, $report) }
	1 .. 2;
close $report;

my @replaced;

foreach (1 .. $reloads) {
	my @old = workers($master);

	select undef, undef, undef, 0.3;
	$t->reload();

	push @replaced, wait_until(sub {
		my %now = map { $_ => 1 } workers($master);
		return keys %now == 2 && !grep { $now{$_} } @old;
	}) ? 1 : 0;
}

is("@replaced", join(' ', (1) x $reloads), 'old workers exit');

$_->end('TERM') foreach @loads;
my @results = map { chomp; [ split ' ' ] } <$results>;
my @failed = grep { $_->[0] eq 'failed' } @results;
my $reused = grep { $_->[0] eq 'reused' } @results;

is(join("\n", map { "@$_" } @failed), '', 'no handshake fails');
cmp_ok($reused, '>', 5 * $reloads, 'sessions are resumed');
cmp_ok($reused, '>', 0.9 * @results, 'nearly all sessions are resumed');

ok(wait_until(sub { resumed()->{reused} }), 'resumed by the last workers');
is(grep({ /sslsessioncache: .*\bdown\b/ }
	split /\n/, $t->read_file('error.log')), 0, 'no line in the log');

###############################################################################

sub load {
	my ($report) = @_;

	$report->autoflush(1);

	while (1) {
		my $r = resumed();
		my $error = $r->{error} // '';
		print $report defined $r->{body}
			? $r->{reused} ? "reused\n" : "new\n"
			: "failed $error\n";
	}
}

sub resumed {
	my $r = tls_get(8443);

	return $r unless defined $r->{body};
	return tls_get(8443, session => $r->{session});
}

###############################################################################
