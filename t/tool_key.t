#!/usr/bin/perl

# Key files: "key new" makes one that nobody else can read and never writes to a file
# that is there, and the id that "key id" prints is the one that anybody can compute
# with the openssl command.  Otherwise a fleet would lose its key, or machines with
# different keys would be taken for alike.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new()->has_daemon('openssl')->has_daemon('xxd')->plan(25);
my $dir = $t->testdir();
my $file = "$dir/cache.key";

###############################################################################

my $umask = umask 0;
my $r = tool('key', 'new', $file);
umask $umask;

my ($id) = $r->{out} =~ /^([0-9a-f]{8})  \Q$file\E$/m;

is($r->{status}, 0, 'made');
is(-s $file, 32, '32 bytes');
is((stat $file)[2] & 07777, 0600, 'for its owner alone');
is($id, by_openssl($file), 'its id');
like($r->{out}, qr/key=\Q$file\E/, 'how it is used');
like($r->{out}, qr/scp -p \Q$file\E/, 'how others get it');

my $key = $t->read_file('cache.key');
$r = tool('key', 'new', $file);

is($r->{status}, 1, 'not made again');
is($r->{out}, '', 'no id');
like($r->{err}, qr/^ssl-session-cache: \Q$file\E: the file exists .* take another name/,
	'what to do instead');
is($t->read_file('cache.key'), $key, 'as it was');

$r = tool({ dir => $dir }, 'key', 'new', 'second.key');

is($r->{status}, 0, 'made in this folder');
isnt($t->read_file('second.key'), $key, 'another key');

like(tool('key', 'new', "$dir/none/cache.key")->{err}, qr/cannot make it: No such file/,
	'no folder');

# Ids

$r = tool('key', 'id', $file, "$dir/second.key");

is($r->{out}, join('', map { by_openssl($_) . "  $_\n" } $file, "$dir/second.key"), 'ids');
is($r->{err}, '', 'no warnings');
is($r->{status}, 0, 'no errors');

private_file($t, 'short', 'x' x 31);
private_file($t, 'long', 'x' x 33);
$r = tool('key', 'id', "$dir/short", "$dir/none", "$dir/long", $dir, $file);

is($r->{status}, 1, 'no keys');
is($r->{out}, "$id  $file\n", 'the id of the key behind them');
like($r->{err}, qr!^ssl-session-cache: \Q$dir\E/$_: expected exactly 32 bytes!m, "$_ key")
	foreach 'short', 'long';
like($r->{err}, qr!^ssl-session-cache: \Q$dir\E/none: cannot open it: No such file!m, 'no file');
like($r->{err}, qr!^ssl-session-cache: \Q$dir\E: cannot read it: Is a directory!m, 'a folder');

chmod 0640, $file;
$r = tool('key', 'id', $file);

is($r->{out}, "$id  $file\n", 'id of a key that others can read');
like($r->{err}, qr/warning: \Q$file\E: open to others than its owner; "chmod 600 \Q$file\E"/,
	'warning');
is($r->{status}, 0, 'no error');

###############################################################################

sub by_openssl {
	my ($file) = @_;

	my $id = `head -c16 /dev/zero | openssl enc -aes-256-ecb -nopad \\
		-K \$(xxd -p -c64 '$file') | head -c4 | xxd -p`;
	chomp $id;

	return $id;
}

###############################################################################
