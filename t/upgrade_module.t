#!/usr/bin/perl

# The module is upgraded under load, as docs/upgrading.md says: its file is replaced
# by rename, a new master loads it, and the old one leaves.  No handshake fails, and
# what was made before is resumed after.  A reload goes on with the module that is
# loaded, and so does the old master, if the new one is given up.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Load;
use SSLSessionCache::Nginx;
use SSLSessionCache::Pair;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();
my $dir = $t->testdir();

# Two versions: the module as it is, and one before, which differs in what it tells.

my ($path) = ($ENV{TEST_NGINX_GLOBALS} // '')
	=~ /load_module\s+(\S*ssl_session_cache_module\.so)/
	or die "no module that is loaded\n";
my $new = content($path);
my ($version) = $new =~ /version ([\d.]+) \(built for nginx/;
my $before = $version =~ s/(\d)$/($1 + 1) % 10/er;
my $old = $new =~ s/version \Q$version\E (?=\(built)/version $before /r;

write_module($old);
$ENV{TEST_NGINX_GLOBALS} =~ s!\Q$path\E!$dir/module.so!;

# A master that is the child of a test takes no USR2.

$t->has(qw/http http_ssl rewrite socket_ssl/)->has_daemon('openssl');

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', config(main => 'worker_processes 2;',
	body => '$remote_ssl_session_cache_status') =~ s/daemon off;//r);
$t->plan(15)->run();

# Test::Nginx knows the process that it has started, which is none of the masters.

my $test = $$;
my @masters = pid();

END { kill 'TERM', grep { !gone($_) } @masters if $test && $$ == $test }

###############################################################################

is_deeply(told(), [ $before ], 'the old version');

my ($first) = @masters;
my %made = map { $_ => tls_get(8443, version => $_) } 'TLSv1.2', 'TLSv1.3';
my $load = SSLSessionCache::Load->new($t, from => 8443, to => 8443);

write_module($new);
kill 'HUP', $first;
ok(wait_until(sub { @{told()} == 2 }), 'a reload');
is(told()->[1], $before, 'goes on with the module that is loaded');

# a new master, which is given up

ok(upgrade($first), 'a new master');
is(told()->[2], $version, 'has loaded the new version');

kill 'HUP', $first;
ok(wait_until(sub { workers_of($first) == 2 }), 'the old one takes over');
kill 'QUIT', $masters[1];
ok(wait_until(sub { gone($masters[1]) }), 'the new one leaves');
ok(wait_until(sub { pid() == $first }), 'the old one is the only one');

# and one that stays

ok(upgrade($first), 'another new master');
kill 'QUIT', $first;
ok(wait_until(sub { gone($first) }), 'the old one leaves');
is(told()->[3], $version, 'the new version');

is(tls_get(8443, version => $_,
	session => $made{$_}{session})->{body}, 'HIT',
	"resumed, made before, $_") foreach sort keys %made;

my @results = $load->results();
my @again = grep { !$_->{made} } @results;

is(join("\n", map { $_->{error} // () } @results), '', 'no handshake fails');
cmp_ok(grep({ $_->{reused} } @again), '>', 0.9 * @again,
	'nearly all sessions are resumed');

kill 'QUIT', $masters[-1];
wait_until(sub { gone($masters[-1]) });

###############################################################################

# In place of what is there: that file stays as it is for who has it mapped.

sub write_module {
	my ($content) = @_;

	open my $file, '>:raw', "$dir/module.so.new" or die "open() failed: $!\n";
	print $file $content;
	close $file or die "close() failed: $!\n";
	rename "$dir/module.so.new", "$dir/module.so" or die "rename() failed: $!\n";
}

# A new master beside one, whose workers leave: true once there are only its own.

sub upgrade {
	my ($master) = @_;

	kill 'USR2', $master;
	wait_until(sub { pid('.oldbin') == $master && pid()
		&& pid() != $master && workers_of(pid()) == 2 }) or return 0;
	push @masters, pid();

	return kill('WINCH', $master)
		&& wait_until(sub { !workers_of($master) });
}

# Without a new master, which is its child as well.

sub workers_of {
	my ($master) = @_;

	return () = grep { content("$_/stat") =~ /\) \S $master /
		&& content("$_/cmdline") =~ /^nginx: worker/ } glob '/proc/[0-9]*';
}

# Also where nobody has asked for the exit code yet.

sub gone {
	my ($pid) = @_;

	return content("/proc/$pid/cmdline") eq '';
}

# Of a master, from its file; 0 where there is none.

sub pid {
	my ($suffix) = @_;

	return content("$dir/nginx.pid" . ($suffix // '')) =~ /(\d+)/ ? $1 : 0;
}

# The versions that the log tells, one for each configuration.

sub told {
	return [ content("$dir/error.log")
		=~ /sslsessioncache: module version ([\d.]+) /g ];
}

sub content {
	my ($name) = @_;

	open my $file, '<:raw', $name or return '';
	local $/;

	return <$file> // '';
}

###############################################################################
