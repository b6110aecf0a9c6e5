#!/usr/bin/perl

# With STARTTLS a handshake begins in the midst of a connection.  Sessions are
# resumed there as elsewhere, however the ClientHello arrives, and nothing of
# what a client sends behind its handshake is lost; what comes of a client that
# does not wait for the answer to STARTTLS is what comes of it without the cache.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

# One that can do without TLS, one that wants it, and one without the cache

my @options = (mail => 'timeout 3s;');
my $cache = 'type=%%STORE%%';

my $store = mail_single($t, @options, cache => $cache);
SSLSessionCache::Nginx->new($t, 'only', mail_config($t, @options,
	cache => $cache, starttls => 'only', offset => 1));
SSLSessionCache::Nginx->new($t, 'without', mail_config($t, @options,
	cache => 'none', offset => 4));
$t->plan(42);

###############################################################################

my %ports = (imap => 8143, pop3 => 8110, smtp => 8025);
my @hasty;

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $protocol (sort keys %ports) {
		my $port = $ports{$protocol};
		my $name = "$version, $protocol";

		my $client = sub {
			my ($to, $from) = @_;
			return SSLSessionCache::Mail->new($to, version => $version,
				session => $from && made($from, $version));
		};

		is(outcome($client->($port + 1, $port), sub { $_->hello() }),
			'resumed', "$name, at once");
		is(outcome($client->($port, $port + 1), sub { $_->hello() }),
			'resumed', "$name, at once, the other way");
		is(outcome($client->($port + 1, $port),
			sub { split //, $_->hello() }), 'resumed',
			"$name, byte by byte");
		is(outcome($client->($port + 1, $port),
			sub { $_->in_records(7) }), 'resumed',
			"$name, in small records");

		is(pipelines($client->($port + 1, $port)), 'resumed',
			"$name, commands behind the end of the handshake");
		is(pipelines($client->($port)), 'full handshake',
			"$name, commands behind the end of a full one");

		# What a client must not do

		push @hasty, [ $name, map { hurry($_) } $client->($port + 1, $port),
			$client->($port + 4, $port + 4) ];
	}
}

foreach (@hasty) {
	my ($name, @clients) = @$_;
	my ($outcome, $expected) = map { outcome($_) } @clients;

	is($outcome, $expected, "$name, hello behind the command");
}

###############################################################################

# What comes of a client whose ClientHello is sent in such pieces, if it has not
# been sent.

sub outcome {
	my ($client, $pieces) = @_;

	my $r = eval {
		if ($pieces) {
			local $_ = $client->connect()->starttls();
			$client->send_hello($pieces->());
		}

		$client->get();
	};

	return $@ =~ s/\n$//r unless $r;
	return $r->{reused} ? 'resumed' : 'full handshake';
}

# The same where all commands are in one segment with the client's last message of
# the handshake.

sub pipelines {
	my ($client) = @_;

	my @logins = $client->login_lines();

	eval {
		$client->connect()->starttls()->send_hello($client->hello());
		$client->finish_with(@logins,
			map { $client->echo_line("number $_") } 1 .. 9);

		$client->line() foreach @logins;
		$client->read_echo("number $_") foreach 1 .. 9;
	};

	return $@ =~ s/\n$//r if $@;
	return $client->reused() ? 'resumed' : 'full handshake';
}

# The ClientHello is in one segment with STARTTLS.

sub hurry {
	my ($client) = @_;

	return $client->connect()->starttls($client->hello())->send_hello();
}

sub made {
	my ($port, $version) = @_;

	my $r = mail_get($port, version => $version);
	die $r->{error} if defined $r->{error};
	$store->wait_id(session_id($r->{session}))
		unless grep { $port == $_ + 4 } values %ports;

	return $r->{session};
}

###############################################################################
