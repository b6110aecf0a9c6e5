#!/usr/bin/perl

# The probe of the tool tries servers of mail as well, with TLS from the start and
# with STARTTLS, and tells what a server says that has none.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();

mail_pair($t, cache => 'type=%%STORE%% timeout=3s', mail => 'timeout 5s;');
$t->plan(11);

###############################################################################

my %ports = (imap => 8143, pop3 => 8110, smtp => 8025);

foreach my $protocol (sort keys %ports) {
	my @servers = map { '127.0.0.1:' . port($ports{$protocol} + $_) } 0, 1;
	my $r = probe('--starttls', $protocol, @servers);

	is($r->{status}, 0, "$protocol, all resumes") or diag($r->{out});
	like($r->{out}, qr!^$servers[1]  TLS 1\.2 id +2/2 reused!m, "$protocol, TLS 1.2");
	like($r->{out}, qr!^$servers[1]  TLS 1\.3 stateful +2/2 reused!m, "$protocol, TLS 1.3");
}

is(probe(map { '127.0.0.1:' . port($_) } 8993, 8994)->{status}, 0, 'TLS from the start');

my $pop3 = '127.0.0.1:' . port($ports{pop3});

like(probe('--starttls', 'smtp', $pop3)->{out},
	qr/^\Q$pop3 cannot be reached: STARTTLS: it says "+OK POP3 ready" as a greeting\E$/m,
	'another protocol');

###############################################################################

sub probe {
	return tool('probe', '--insecure', '--count', 2, @_);
}

###############################################################################
