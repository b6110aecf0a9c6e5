#!/usr/bin/perl

# Several servers by name on one socket of stream{}: sessions of each are resumed
# on the other machine, those of one that asks for client certificates open no
# other, and what counts is the default server, which a warning tells where another
# one says otherwise.  nginx before 1.25.5 has no names there: a socket is one
# server.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Stream;
use SSLSessionCache::TLS;

###############################################################################

my $t = has_stream(Test::Nginx->new());

my $head = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

EOF

my $has_names = $t->has_version('1.25.5');
my $on = 'remote_ssl_session_cache on port=%%PORT_8379%%;';
my $elsewhere = 'remote_ssl_session_cache on port=%%PORT_8381%%;';
my $off = 'remote_ssl_session_cache off;';
my $verify = 'ssl_verify_client on; ssl_client_certificate';

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'one', 'two';

my $config = $head . ($has_names
	? server(8443, 'default', $on)
		. server(8443, 'plain', $on)
		. server(8443, 'one', "$on $verify one.crt;")
		. server(8443, 'two', "$on $verify two.crt;")
		. server(8444, 'default', $off)
		. server(8444, 'plain', $on)
		. server(8445, 'default', $on)
		. server(8445, 'plain', $elsewhere)
		. server(8446, 'default', "$on ssl_reject_handshake on;")
		. server(8446, 'one', "$on $verify one.crt;")
	: server(8443, '', $on)) . "}\n";

$t->write_file_expand('nginx.conf', $config);
$t->plan($has_names ? 45 : 3)->run();
SSLSessionCache::Nginx->new($t, 'other', $config =~ s/:844(\d)/:854$1/gr);

###############################################################################

my $dir = $t->testdir();

if ($has_names) {
	test_names($_) foreach 'TLSv1.2', 'TLSv1.3';
	test_warnings($t);
} else {
	my $r = made('TLSv1.3', 8443, 'one');

	is($r->{body}, ' NONE', 'made, with any name');
	is(offer(8543, $r, 'one'), '1  NONE', 'resumed elsewhere');
	is(offer(8543, $r, 'two'), '1  NONE', 'with another name');
}

###############################################################################

sub test_names {
	my ($version) = @_;

	my %answers = (
		unknown => 'default NONE',
		plain => 'plain NONE',
		one => 'one SUCCESS',
		two => 'two SUCCESS',
	);

	foreach my $name (sort keys %answers) {
		my $r = made($version, 8443, $name);

		is($r->{body}, $answers{$name}, "$version, $name, made");
		is(offer(8543, $r, $name), "1 $answers{$name}",
			"$version, $name, resumed elsewhere");
	}

	foreach my $case ([ 'one', 'two' ], [ 'two', 'one' ], [ 'plain', 'one' ]) {
		my ($name, $foreign) = @$case;
		my $r = made($version, 8443, $name);

		is(offer(8543, $r, $foreign), 'closed',
			"$version, $name, does not open $foreign");
		is(offer(8543, $r, $name), "1 $answers{$name}",
			"$version, $name, still resumed");
	}

	# where other names are refused

	my $r = made($version, 8446, 'one');

	is(offer(8546, $r, 'one'), '1 one SUCCESS', "$version, beside none, resumed");
	like(offer(8546, $r, 'unknown'), qr/unrecognized name/,
		"$version, beside none, unknown");
	is(offer(8546, $r, 'one'), '1 one SUCCESS', "$version, beside none, once more");

	# the default server's setting counts

	is(stored($version, 8444, 'plain'), 0, "$version, off in the default server");
	is(stored($version, 8445, 'plain'), 1, "$version, the default server's store");
}

sub test_warnings {
	my ($t) = @_;

	warns($t, 0, 'the same', $on, $on);
	warns($t, 1, 'off in another server', $on, $off);
	warns($t, 1, 'on in another server only', $off, $on);
	warns($t, 1, 'another store', $on, $elsewhere);
}

sub warns {
	my ($t, $expected, $name, @settings) = @_;

	my ($output, $code) = check_config($t, $head
		. join('', map { server(8443, "name$_", $settings[$_]) } 0, 1) . "}\n");
	my @warnings = $output =~ /\[warn\].*has no effect.*/g;

	is("$code " . @warnings, "0 $expected", "$name, warnings");
	like("@warnings", qr/"name1\.example".*default server, "name0\.example"/,
		"$name, says of which") if $expected;
}

# Whether what is made under a name lies in the store, beside what the same worker
# makes after it.

sub stored {
	my ($version, $port, $name) = @_;

	my @counts = map {
		$redis->clear();
		stream_get($_, version => $version, sni => "$name.example") if $_;
		made($version, 8443, 'plain');
		$redis->count();
	} $port, 0;

	return $counts[0] > $counts[1] ? 1 : 0;
}

sub made {
	my ($version, $port, $name) = @_;

	my $r = stream_get($port, version => $version, sni => "$name.example",
		$name =~ /one|two/ ? (cert => "$dir/$name") : ());
	$redis->wait_id(session_id($r->{session}));

	return $r;
}

# What the client gets that offers a session under a name, and no certificate.

sub offer {
	my ($port, $r, $name) = @_;

	my $got = stream_get($port, version => $r->{version},
		sni => "$name.example", session => $r->{session});

	return $got->{error}
		// ($got->{body} eq '' ? 'closed' : "$got->{reused} $got->{body}");
}

sub server {
	my ($port, $name, $setting) = @_;

	my $names = $name ne '' ? "server_name $name.example;" : '';

	return <<"EOF";
    server {
        listen 127.0.0.1:$port ssl;
        $names
        $setting

        return "$name \$ssl_client_verify";
    }

EOF
}

###############################################################################
