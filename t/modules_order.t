#!/usr/bin/perl

# Stream and mail may be shared objects of their own, loaded before the module,
# behind it, or not at all; and a reload may change that, or which of nginx's
# blocks there are.  Otherwise nginx does not start, or reload, with a
# configuration that is right, or crashes.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()
	->has(qw/http http_ssl rewrite mail mail_ssl stream stream_ssl socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my %ports = (http => 8443, stream => 8444, mail => 8445);

# the shared objects by what they are of, and what nginx has without one

my %files = map { (/ngx_(mail|stream)_module/ ? $1 : 'own') => $_ }
	($ENV{TEST_NGINX_GLOBALS} // '') =~ /\bload_module\s+([^;]+);/g;
my @shared = grep { $files{$_} } qw/ mail stream /;
my @built_in = grep { !$files{$_} } sort keys %ports;

# in each order; with each choice of blocks; without the module, and with it again

my @orders = map { orders('own', @$_) } subsets(@shared);
my @cases = (
	map({ [ $_, [ grep { $_ ne 'own' } @built_in, @$_ ] ] } @orders),
	map({ [ [ @shared, 'own' ], $_ ] } grep { @$_ } subsets(sort keys %ports)),
	[ [ @shared ], [ @shared, @built_in ] ],
	[ [ 'own', reverse @shared ], [ @shared, @built_in ] ],
);

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

$t->write_file_expand('nginx.conf', loads(\%files, 'nginx', @{$cases[0][0]})
	. blocks(\%ports, 1, @{$cases[0][1]}));

$t->plan(3 * @cases + 2)->run();

###############################################################################

foreach my $case (@cases) {
	my ($order, $blocks) = @$case;
	my $own = grep { $_ eq 'own' } @$order;
	my $name = "@$order: @$blocks";
	my $text = blocks(\%ports, $own, @$blocks);

	my ($output, $code) = check_config($t,
		loads(\%files, 'check', @$order) . $text);
	is("$code $output", "0 $output", "$name, valid");

	$t->write_file_expand('nginx.conf',
		loads(\%files, 'nginx', @$order) . $text);
	ok(reload($t, 1), "$name, reloaded");

	my @resumed = grep { resumes($own && $redis, $ports{$_}) } @$blocks;
	is("@resumed", $own ? "@$blocks" : '', "$name, resumed");
}

# what nginx says of a block whose shared object is not loaded, and of one that
# needs none

foreach my $part (qw/ mail stream /) {
	my @loaded = ('own', grep { $_ ne $part } @shared);
	my ($output, $code) = check_config($t, loads(\%files, 'check', @loaded)
		. blocks(\%ports, 1, $part));

	if ($files{$part}) {
		like("$code $output", qr/^1 .*unknown directive "$part"/s,
			"$part, without its shared object");
	} else {
		is($code, 0, "$part, built in, is enough");
	}
}

###############################################################################

sub subsets {
	my ($first, @rest) = @_;

	return [] unless defined $first;

	return map { ($_, [ $first, @$_ ]) } subsets(@rest);
}

sub orders {
	my (@all) = @_;

	return [] unless @all;

	return map {
		my $first = $all[$_];
		map { [ $first, @$_ ] } orders(@all[grep { $all[$_] ne $first } 0 .. $#all]);
	} 0 .. $#all;
}

sub loads {
	my ($files, $name, @order) = @_;

	my @lines = ('daemon off', "pid %%TESTDIR%%/$name.pid",
		'error_log %%TESTDIR%%/error.log debug',
		map { "load_module $files->{$_}" } @order);

	return join '', map { "$_;\n" } @lines;
}

# The directive stands outside of a server and in one.

sub blocks {
	my ($ports, $own, @parts) = @_;

	my $cache = $own ? 'remote_ssl_session_cache on port=%%PORT_8379%%;'
		: 'ssl_session_tickets off;';
	my $certificate
		= 'ssl_certificate localhost.crt; ssl_certificate_key localhost.key;';
	my $text = "\nevents {\n}\n";

	foreach my $part (@parts) {
		my $status = $own && $part ne 'mail'
			? '$remote_ssl_session_cache_status' : '';
		my $server = {
			http => "location / { return 200 '$status'; }",
			mail => 'protocol imap;',
			stream => "return '$status';",
		}->{$part};
		my $outer = {
			http => '%%TEST_GLOBALS_HTTP%%',
			mail => 'auth_http 127.0.0.1:9;',
			stream => '',
		}->{$part};

		$text .= <<"EOF";

$part {
    $certificate
    $cache
    $outer

    server {
        listen 127.0.0.1:$ports->{$part} ssl;
        $cache
        $server
    }
}
EOF
	}

	return $text;
}

# Whether a session is resumed, and lies in the store, if there is one.

sub resumes {
	my ($redis, $port) = @_;

	my $session = handshake($port)->session();
	return 0 if $redis && !$redis->wait_id(session_id($session));

	return handshake($port, session => $session)->reused();
}

sub handshake {
	my ($port, %opts) = @_;

	return tls_hello($port, version => 'TLSv1.2', %opts)->handshake();
}

###############################################################################
