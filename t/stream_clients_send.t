#!/usr/bin/perl

# A client of stream{} may send more while its lookup waits for the store: the
# ChangeCipherSpec that TLSv1.3 allows, early data, which stream{} never accepts,
# or rubbish.  Nothing of it may crash the worker or leave memory behind, and the
# first two must not end the handshake.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Link;
use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

my $store = store($t);
my $link = SSLSessionCache::Link->new($t);

stream_single($t, store => $store,
	cache => 'type=%%STORE%% port=%%PORT_8378%% timeout=10s');
$t->plan(11);

# what stream{} may not take for the client's first words

$t->write_file('early', "ECHO early\r\n" x 100);

###############################################################################

my $worker = worker($t);
my %sessions = map { $_ => made($_) } 'TLSv1.2', 'TLSv1.3';

my $ccs = "\x14\x03\x03\x00\x01\x01";
my $rubbish = "\xff" x 100;

ok(wait_until(sub { offer('TLSv1.3')->{reused} }), 'link is up')
	or die "nothing is resumed\n";
my $connections = connections($worker);

send_more('TLSv1.3', $ccs, 3);
send_more($_, $rubbish, 1) foreach 'TLSv1.2', 'TLSv1.3';

my @counts;
my $growth = growth($worker, sub {
	@counts = (
		send_more('TLSv1.3', $ccs, 10),
		send_more('TLSv1.3', $rubbish, 5),
		send_more('TLSv1.2', $rubbish, 5),
	);
});

is($counts[0], '0 1000', 'ChangeCipherSpec, TLSv1.3');
is($counts[1], '0 0', 'rubbish, TLSv1.3');
is($counts[2], '0 0', 'rubbish, TLSv1.2');
is($growth, 0, 'no growth of memory');

# early data, of a session and of one that is gone

$link->fault('slow', 0.1);

my $output = early_data($t, $sessions{'TLSv1.3'});

like($output, qr/^Reused, TLSv1\.3/m, 'early data, resumed');
like($output, qr/^Early data was rejected/m, 'early data, not taken');
like($output, qr/^\$5\r?\nlater\r?$/m, 'early data, what follows is answered');
unlike($output, qr/^early\r?$/m, 'early data, never answered');

$link->fault('none');

is(offer('TLSv1.3')->{reused}, 1, 'resumed after them');
is(join(' ', workers(master($t))), $worker, 'same worker');

###############################################################################

# Rounds of a hundred, who send more while the store is held still; how many
# were answered before, and how many were resumed then.

sub send_more {
	my ($version, $data, $rounds) = @_;

	my ($answered, $reused) = (0, 0);

	foreach (1 .. $rounds) {
		my $lookups = $link->lookups() + 100;
		my $session = $sessions{$version};

		$store->freeze();
		my @waiting = map { tls_hello(8443, version => $version,
			session => $session) } 1 .. 100;

		$link->wait_lookups($lookups);
		$answered += grep { $_->answered() } @waiting;
		syswrite $_->socket(), $data foreach @waiting;
		$store->thaw();

		foreach my $client (@waiting) {
			my $r = eval { stream_talk($client, echo => 'more') } or next;
			$reused += $r->{reused} if $r->{body} eq 'more';
		}

		# memory shows what stays when all are gone
		@waiting = ();
		wait_until(sub { connections($worker) <= $connections });

		# what was rubbish has taken the session out of the cache
		$sessions{$version} = made($version) if $data ne $ccs;

		last if $answered or $link->lookups() < $lookups;
	}

	return "$answered $reused";
}

# What a client sees that sends early data by a session that allows it, as one
# can be from a server of the same certificate in http{}.

sub early_data {
	my ($t, $session) = @_;

	my $dir = $t->testdir();
	my $file = write_session($t, 'session', allow_early_data($session));
	my $command = 'timeout 10 openssl s_client -tls1_3 -ign_eof '
		. "-servername localhost -sess_in $file -early_data $dir/early "
		. '-connect 127.0.0.1:' . port(8443);

	return scalar `(printf 'ECHO later\\r\\n'; sleep 1; printf 'QUIT\\r\\n') | $command 2>&1`;
}

# The element [15] of an SSL_SESSION, before those of higher numbers.

sub allow_early_data {
	my ($der) = @_;

	my (undef, $length, $fields) = unpack 'CCa*', $der;
	substr $fields, 0, $length & 0x7f, '' if $length & 0x80;

	my ($before, $after) = ('', '');

	foreach my $element (SSLSessionCache::TLS::_elements($fields)) {
		my ($tag, $content) = @$element;
		my $text = chr($tag) . (length $content < 0x80
			? chr length $content : pack 'Cn', 0x82, length $content)
			. $content;
		($tag > 0xaf ? $after : $before) .= $text;
	}

	return pack 'CCn/a', 0x30, 0x82, $before . "\xaf\x04\x02\x02\x40\x00" . $after;
}

sub offer {
	my ($version) = @_;

	return stream_get(8443, version => $version, echo => 'offered',
		session => $sessions{$version});
}

sub made {
	my ($version) = @_;

	my $r = stream_get(8443, version => $version, echo => 'made');
	$store->wait_id(session_id($r->{session}));

	return $r->{session};
}

###############################################################################
