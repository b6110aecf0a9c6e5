#!/usr/bin/perl

# What OpenSSL's own client stores of a connection with STARTTLS resumes on
# another machine, in IMAP, POP3 and SMTP.  It greets the server as real clients
# do, and sends all commands at once.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;

###############################################################################

my $t = Test::Nginx->new();

my ($store) = mail_pair($t, cache => 'type=%%STORE%%');
$t->plan(24);

###############################################################################

my %ports = (imap => 8143, pop3 => 8110, smtp => 8025);

foreach my $version (qw/ tls1_2 tls1_3 /) {
	foreach my $protocol (sort keys %ports) {
		my $port = $ports{$protocol};
		my $name = "$version, $protocol";
		my @client = ($version, '-starttls', $protocol);

		$store->clear();
		my $made = s_client($t, $port, @client, '-sess_out');
		$store->wait_keys($version eq 'tls1_3' ? 2 : 1);
		my $resumed = s_client($t, $port + 1, @client, '-sess_in');

		like($made, qr/^New, TLS/m, "$name, full handshake");
		like($made, qr/hello from the client\r$/m, "$name, logged in");
		like($resumed, qr/^Reused, TLS/m, "$name, resumed");
		like($resumed, qr/hello from the client\r$/m,
			"$name, resumed, logged in");
	}
}

###############################################################################

sub s_client {
	my ($t, $port, $version, @options) = @_;

	my $client = SSLSessionCache::Mail->new($port);
	my $session = $t->testdir() . '/session';

	$t->write_file('commands', join '', map { "$_\r\n" }
		$client->login_lines(), $client->echo_line('hello from the client'),
		$client->quit_line());

	my $command = "openssl s_client -$version -ign_eof @options $session "
		. '-connect 127.0.0.1:' . Test::Nginx::port($port);

	return `timeout 10 $command <@{[ $t->testdir() ]}/commands 2>&1`;
}

###############################################################################
