#!/usr/bin/perl

# At the start the log says how handshakes wait: in one line where it is the same for all
# servers, else in one line for each way, with the servers that it is for.  Of many
# servers the first ones are named, and the others counted.  Otherwise who looks for the
# server that waits in another way than the others would have to guess.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

SERVERS
}

EOF

certificate($t, 'localhost');
$t->plan(9);

###############################################################################

my @same = said($t, 'same', map { "s$_ hello" } 1 .. 5);

is(@same, 1, 'the same way, one line');
like($same[0], qr/^are suspended with .*\(suspend=hello\), as configured$/,
	'the same way, no server');

my @two = said($t, 'two', 's1 auto', 's2 hello', 's3 auto', 's4 hello', 's5 hello');

is(@two, 2, 'two ways, a line for each');
like($two[0], servers($t, 'two', qr/ are suspended with .*\), (?:the best way$|as )/, 1, 3),
	'two ways, one');
like($two[1], servers($t, 'two',
	qr/ are suspended with .*\(suspend=hello\), as configured$/, 2, 4, 5), 'two ways, the other');

my @many = said($t, 'many', 's1 auto', map { "s$_ hello" } 2 .. 60);

is(@many, 2, 'many servers, a line for each way');
like($many[0], servers($t, 'many', qr/ are suspended/, 1), 'many servers, one that differs');
like($many[1], servers($t, 'many',
	qr/ and 56 more are suspended with .*\(suspend=hello\), as configured$/, 2 .. 4),
	'many servers, the first ones');
cmp_ok(length $many[1], '<', 600, 'many servers, not a long line');

###############################################################################

# What the log of an nginx says of its servers, each a name and a way.

sub said {
	my ($t, $name, @servers) = @_;

	my $text = join '', map { server($name, split) } @servers;
	my $nginx = SSLSessionCache::Nginx->new($t, $name, $config =~ s/^SERVERS\n/$text/mr);

	return $nginx->error_log() =~ /\[notice\].*: handshakes ((?:of|are) .*)/g;
}

# One line of the configuration.

sub server {
	my ($nginx, $name, $way) = @_;

	return "server { listen unix:%%TESTDIR%%/$nginx.$name ssl; server_name $name; "
		. "remote_ssl_session_cache port=%%PORT_8379%% suspend=$way; }\n";
}

# What is said of these servers begins so: each has the place of its line.

sub servers {
	my ($t, $nginx, $rest, @numbers) = @_;

	my $file = $t->testdir() . "/$nginx.conf";
	my @lines = split /\n/, $t->read_file("$nginx.conf");
	my ($first) = grep { $lines[$_] =~ /server_name s1;/ } 0 .. $#lines;
	my $names = join ', ', map { qq{server "s$_" in $file:} . ($first + $_) } @numbers;

	return qr/^of \Q$names\E$rest/;
}

###############################################################################
