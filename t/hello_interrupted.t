#!/usr/bin/perl

# A ClientHello may come in several records.  Where another record follows in
# its midst, empty or not, or none at all, OpenSSL refuses it as soon as it has
# come.  Otherwise such a connection is held, with nothing to wait for, until it
# times out.

###############################################################################

use warnings;
use strict;

use FindBin;
use IO::Select;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $redis = single($t, http => 'ssl_protocols TLSv1.2 TLSv1.3;');
$t->plan(50);

###############################################################################

my %interruptions = (
	'empty data' => "\x17\x03\x03\0\0",
	'data' => "\x17\x03\x03\0\x11" . 'x' x 17,
	'alert' => "\x15\x03\x01\0\2\2\x28",
	'close_notify' => "\x15\x03\x01\0\2\1\0",
	'ChangeCipherSpec' => "\x14\x03\x03\0\1\1",
	'too long' => "\x16\x03\x01\x48\1",
	'SSL 2' => "\x80\x2e\1\3\1",
	'no record' => "GET / HTTP/1.0\r\n\r\n",
);

my $hello = SSLSessionCache::Hello->new();

# The message's own header is four bytes long.

my %starts = (
	'a part of the header' => [ 2, 1 ],
	'the header' => [ 2, 2 ],
	'the header and more' => [ 20, 3 ],
);

foreach my $start (sort keys %starts) {
	my ($size, $count) = @{$starts{$start}};
	my $records = join '', ($hello->in_records($size))[0 .. $count - 1];

	foreach my $name (sort keys %interruptions) {
		my $record = $interruptions{$name};

		is(answer($records . $record), 'refused',
			"$start, $name, at once");
		is(answer($records, $record), 'refused', "$start, $name, later");
	}
}

my $r = tls_get(8443);
$redis->wait_id(session_id($r->{session}));

my $client = SSLSessionCache::Hello->new(session => $r->{session});
my ($first, @more) = $client->in_records(2);

like($client->send(8443, $first, "\x16\x03\x01\0\0", @more)->get('/')->{body},
	qr/^[r.]$/, 'empty record of the hello, served');
is(tls_get(8443, session => $r->{session})->{reused}, 1, 'resumed afterwards');

###############################################################################

# What comes of some pieces, each sent when nginx has read the one before.

sub answer {
	my (@pieces) = @_;

	my $socket = SSLSessionCache::Hello::connected(8443);

	foreach my $piece (@pieces) {
		wait_until(sub { !unread($socket) });
		syswrite $socket, $piece;
	}

	return 'nothing' unless IO::Select->new($socket)->can_read(5);

	my $got = sysread $socket, my $data, 7;

	return !$got || $data =~ /^\x15\x03.\x00\x02\x02/s ? 'refused' : 'something';
}

# How many bytes the peer of a socket has not read.

sub unread {
	my ($socket) = @_;

	my $ports = sprintf ':%04X [0-9A-F]+:%04X', $socket->peerport(),
		$socket->sockport();

	open my $table, '<', '/proc/net/tcp' or die "open() failed: $!\n";
	my ($queue) = map { /$ports \S+ [0-9A-F]+:([0-9A-F]+)/ } <$table>;

	return hex($queue // 0);
}

###############################################################################
