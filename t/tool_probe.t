#!/usr/bin/perl

# The probe of the tool tells whether sessions made on one machine resume on all
# others, and says which does not, and what to look at: an operator and a monitoring
# system go by it.

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
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();

seal_key($t, $_) foreach 'cache.key', 'other.key';

my %options = (cache => 'timeout=5s key=cache.key');
my (undef, $second) = pair($t, %options);

SSLSessionCache::Nginx->new($t, 'third',
	config(cache => 'timeout=5s key=other.key', port => 8445));
$t->plan(24);

my ($a, $b, $c, $down) = map { '127.0.0.1:' . port($_) } 8443 .. 8446;
my @trusted = ('--name', 'localhost', '--ca', $t->testdir() . '/localhost.crt');

###############################################################################

my $r = tool('probe', @trusted, $a, $b);
my $reused = qr!3/3 reused, \d+(?:\.\d)? ms \(full \d+(?:\.\d)? ms\)$!m;

is($r->{status}, 0, 'all resumes');
is($r->{err}, '', 'no errors');

foreach my $server ($a, $b) {
	like($r->{out}, qr/^\Q$server\E  TLS 1\.2 id        $reused/m, 'TLS 1.2 by id');
	like($r->{out}, qr/^\Q$server\E  TLS 1\.2 ticket    none is given \(full/m, 'no tickets');
	like($r->{out}, qr/^\Q$server\E  TLS 1\.3 stateful  $reused/m, 'TLS 1.3');
}

like($r->{out}, qr/\n\nall of it resumes everywhere\n\z/, 'what it comes to');
is(scalar grep({ length > 100 } split /\n/, $r->{out}), 0, 'no long lines');

# One has another key

$r = tool('probe', @trusted, $a, $b, $c);

is($r->{status}, 1, 'another key');
like($r->{out}, qr!^\Q$c\E  TLS 1\.2 id        0/3 reused \(full!m, 'nothing resumed there');
like($r->{out}, qr/^\Q$b\E  TLS 1\.2 id        $reused/m, 'but on the others');
like($r->{out}, qr/\n\n\Q$c resumes nothing made on $a: same key=, same store?\E.*\n\z/,
	'which one');

# One is down

$r = tool('probe', @trusted, $down, $a, $b);

is($r->{status}, 1, 'one is down');
like($r->{out}, qr/^\Q$down\E  -  +cannot be reached: Connection refused$/m, 'a row of its own');
like($r->{out}, qr/^\Q$b\E  TLS 1\.2 id        $reused/m, 'the others are tried');
like($r->{out}, qr/\n\n\Q$down cannot be reached: Connection refused\E\n\z/, 'which one');

# Certificates

$r = tool('probe', '--count', 1, $a, $b);

is($r->{status}, 1, 'certificate of nobody known');
like($r->{out}, qr!^\Q$b\E  certificate +self.signed certificate$!m, 'what is wrong with it');
like($r->{out}, qr!^\Q$b\E  TLS 1\.3 stateful  1/1 reused!m, 'resumed all the same');

$r = tool('probe', '--count', 1, '--name', 'another', '--ca', $trusted[3], $a, $b);
like($r->{out}, qr!^\Q$b\E  certificate +hostname mismatch$!m, 'certificate of another name');

is(tool('probe', '--insecure', '--count', 1, $a, $b)->{status}, 0, 'not looked at');

$r = tool('probe', '--ca', $t->testdir() . '/none', $a);
like("$r->{status} $r->{err}", qr!^2 ssl-session-cache: cannot use ".*/none": !, 'wrong usage');

###############################################################################
