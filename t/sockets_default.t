#!/usr/bin/perl

# One default server on several sockets: sessions pass between the sockets where
# client certificates mean the same on each, also where one server more asks for
# them.  Where not, and OpenSSL could not tell the sockets' sessions apart, there
# is no cache, and a warning says what to do.

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
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $head = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache port=%%PORT_8379%%;

EOF

my @both = (8443, 8444);
my $on = 'ssl_verify_client on; ssl_client_certificate';

my %servers = (
	plain => server('default.example', \@both, ''),
	asks => server('default.example', \@both, "$on one.crt;"),
	one => server('one.example', \@both, "$on one.crt;"),
	two => server('two.example', \@both, "$on two.crt;"),
	first => server('name.example', [ 8443 ], "$on one.crt;"),
	same => server('other.example', [ 8444 ], "$on one.crt;"),
	second => server('name.example', [ 8444 ], "$on two.crt;"),
	optional => server('name.example', [ 8444 ],
		'ssl_verify_client optional; ssl_client_certificate one.crt;'),
	no_ca => server('name.example', [ 8444 ],
		'ssl_verify_client optional_no_ca;'),
	silent => server('silent.example', [ 8444 ], ''),
);

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, $_) foreach 'localhost', 'one', 'two';

$t->write_file_expand('nginx.conf', config(qw/ plain one two silent /));
$t->plan(30)->run();
SSLSessionCache::Nginx->new($t, 'twin',
	config(qw/ plain silent two one /) =~ s/:84/:85/gr);

###############################################################################

my $dir = $t->testdir();

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $name ('one', 'two') {
		my @client = (version => $version, sni => "$name.example");
		my $r = tls_get(8443, @client, cert => "$dir/$name");

		foreach my $port (8543, 8544) {
			ok(wait_until(sub {
				tls_get($port, @client, session => $r->{session})->{body}
					eq 'r SUCCESS'
			}), "$version, $name, resumed at $port");
		}
	}
}

SSLSessionCache::Nginx->new($t, 'apart',
	config(qw/ plain first second /) =~ s/:84/:86/gr);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	my @client = (version => $version, sni => 'name.example');
	my $r = tls_get(8643, @client, cert => "$dir/one");
	my $crossed = tls_get(8644, @client, session => $r->{session});

	is($r->{body}, '. SUCCESS', "$version, made");
	like($crossed->{response}, qr/ 400 /, "$version, not on the other socket");
}

# since 1.29.2 the name is known when a session is looked up

my $differ = $t->has_version('1.29.2') ? 0 : 1;

warns($t, 0, 'nobody asks', qw/ plain silent /);
warns($t, 0, 'the same servers', qw/ plain one two /);
warns($t, 0, 'one policy, one socket', qw/ plain first /);
warns($t, 0, 'one policy, two sockets', qw/ plain first same /);
warns($t, 0, 'the policy of the default server', qw/ asks first /);
warns($t, $differ, 'two policies', qw/ plain first second /);
warns($t, $differ, 'optional', qw/ plain first optional /);
warns($t, $differ, 'optional without authorities', qw/ plain first no_ca /);
warns($t, $differ, 'another policy than the default server', qw/ asks second /);

###############################################################################

sub config {
	return $head . join('', map { $servers{$_} } @_) . "}\n";
}

sub server {
	my ($name, $ports, $policy) = @_;

	my $default = $name eq 'default.example' ? ' default_server' : '';
	my $listen = join "\n        ",
		map { "listen 127.0.0.1:$_ ssl$default;" } @$ports;

	return <<EOF;
    server {
        $listen
        server_name $name;

        $policy

        location / {
            return 200 "\$ssl_session_reused \$ssl_client_verify";
        }
    }

EOF
}

sub warns {
	my ($t, $expected, $name, @servers) = @_;

	my ($output, $code) = check_config($t, config(@servers));
	my @warnings = $output =~ /\[warn\].*different client certificates.*/g;

	is($code, 0, "$name, valid");
	is(@warnings, $expected, "$name, warnings");
}

###############################################################################
