#!/usr/bin/perl

# However a ClientHello arrives, its session is found: byte by byte, in many
# records, and as long as post-quantum key shares and more make it.  One that is
# too long to be held back for a lookup is served all the same.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Hello;
use SSLSessionCache::Link;
use SSLSessionCache::Pair;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my ($redis) = pair($t, http => 'ssl_protocols TLSv1.2 TLSv1.3;');
$t->plan(22);
SSLSessionCache::Link->new($t, peer => 8444, piece => 1000);

###############################################################################

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @client = (version => $version);

	is(pieces(@client, sub { shift->hello() }), 'r', "$version, at once");
	is(pieces(@client, sub { split //, shift->hello() }), 'r',
		"$version, byte by byte");
	is(pieces(@client, sub { shift->in_records(1) }), 'r',
		"$version, records of one byte");
	is(pieces(@client, sub { join '', shift->in_records(7) }), 'r',
		"$version, records of seven bytes, at once");
}

foreach my $kilobytes (2, 12, 24) {
	my @client = (version => 'TLSv1.2', padding => 1024 * $kilobytes);

	is(pieces(@client, sub { shift->hello() }), 'r',
		"TLSv1.2, $kilobytes KB");
	is(pieces(@client, sub { unpack '(a1000)*', shift->hello() }), 'r',
		"TLSv1.2, $kilobytes KB in pieces");

	is(long_hello($t, 8444, $kilobytes), 'r', "TLSv1.3, $kilobytes KB");
	is(long_hello($t, 8378, $kilobytes), 'r',
		"TLSv1.3, $kilobytes KB in pieces");
}

like(pieces(version => 'TLSv1.2', padding => 60_000, sub { shift->hello() }),
	qr/^[r.]$/, 'TLSv1.2, too long');
like(long_hello($t, 8378, 60), qr/^[r.]$/, 'TLSv1.3, too long');

###############################################################################

# What nginx says of a session that was made elsewhere and is offered in pieces.

sub pieces {
	my $cut = pop;
	my (%opts) = @_;

	my $r = made($opts{version});
	my $client = SSLSessionCache::Hello->new(%opts,
		session => $r->{session});
	my $got = eval { $client->send(8444, $cut->($client))->get('/') };

	return $got ? $got->{body} : $@;
}

# The same of a hello that is long by the names of authorities.

sub long_hello {
	my ($t, $port, $kilobytes) = @_;

	my $session = write_session($t, 'session', made('TLSv1.3')->{session});
	my $authorities = authorities($t, $kilobytes);
	my $command = "openssl s_client -tls1_3 -servername localhost -ign_eof "
		. "-sess_in $session -requestCAfile $authorities "
		. "-connect 127.0.0.1:" . port($port);

	my $output = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' \\
		| timeout 10 $command 2>&1`;

	return $output =~ /\r\n\r\n(.)/ ? $1 : $output;
}

# A file of certificates whose names take so many kilobytes.

sub authorities {
	my ($t, $kilobytes) = @_;

	my $dir = $t->testdir();
	my $names = join '', map { '/OU=' . 'x' x 60 } 1 .. 14;

	foreach my $n (0 .. $kilobytes - 1) {
		my $name = "$dir/authority$n";
		next if -e $name;

		system("openssl req -x509 -key $dir/localhost.key "
			. "-subj /CN=$n$names -out $name >>$dir/req.out 2>&1") == 0
			or die "Can't create a certificate\n";
	}

	$t->write_file('authorities', join '',
		map { $t->read_file("authority$_") } 0 .. $kilobytes - 1);

	return "$dir/authorities";
}

sub made {
	my ($version) = @_;

	my $r = tls_get(8443, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

###############################################################################
