#!/usr/bin/perl

# Whatever is wrong with the directive is refused when the configuration is
# read, and the message says which parameter and what is expected.  Without it
# a slip of the pen shows as a cache that silently does nothing.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    HTTP

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        SERVER

        location / {
            LOCATION
            return 200 "";
        }
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');

my $number = qr/expected a number/;
my $time = qr/expected a time/;

my @wrong = (
	[ 'addr=', qr/"addr"/, qr/expected an IP address or a name/ ],
	[ 'addr=no-such-host.invalid', qr/"addr"/, qr/no-such-host\.invalid/ ],
	[ 'addr=300.1.1.1.', qr/"addr"/, qr/300\.1\.1\.1/ ],
	(map { [ "addr=$_", qr/"addr"/, qr/expected an IP address or a name; the port goes into "port="/ ] }
		'[::1', '256.1.1.1', 'localhost:0'),
	[ 'port=', qr/"port"/, $number ],
	[ 'port=0', qr/"port"/, $number ],
	[ 'port=70000', qr/"port"/, $number ],
	[ 'port=-1', qr/"port"/, $number ],
	[ 'port=+1', qr/"port"/, $number ],
	[ 'port=abc', qr/"port"/, $number ],
	[ 'port=6379x', qr/"port"/, $number ],
	[ 'port=99999999999999999999', qr/"port"/, $number ],
	[ 'type=', qr/"type"/, qr/expected redis/ ],
	[ 'type=mysql', qr/"type"/, qr/expected redis/ ],
	[ 'type=memcached auth=secret', qr/"auth"/, qr/expected user:password/ ],
	[ 'interval=', qr/"interval"/, $time ],
	[ 'interval=0', qr/"interval"/, $time ],
	[ 'interval=-1', qr/"interval"/, $time ],
	[ 'interval=1x', qr/"interval"/, $time ],
	[ 'interval=99999999999999999999', qr/"interval"/, $time ],
	[ 'count=', qr/"count"/, $number ],
	[ 'count=0', qr/"count"/, $number ],
	[ 'count=-1', qr/"count"/, $number ],
	[ 'count=many', qr/"count"/, $number ],
	[ 'timeout=', qr/"timeout"/, $time ],
	[ 'timeout=0', qr/"timeout"/, $time ],
	[ 'timeout=-1', qr/"timeout"/, $time ],
	[ 'timeout=1x', qr/"timeout"/, $time ],
	[ 'timeout=s', qr/"timeout"/, $time ],
	[ 'auth=', qr/"auth"/, qr/expected a password/ ],
	[ 'suspend=', qr/"suspend"/, qr/expected auto, retry, async or hello/ ],
	[ 'suspend=on', qr/"suspend"/, qr/expected auto, retry, async or hello/ ],
	[ 'maybe', qr/unknown parameter "maybe"/, qr!expected one .*docs/directives\.md! ],
	[ 'port=1 port=2', qr/"port"/, qr/repeated/ ],
	[ 'on on', qr/"on/, qr/repeated/ ],
	[ 'on off', qr/off"/, qr/repeated/ ],
	[ 'auth=a auth=b', qr/"auth"/, qr/repeated/ ],
	[ 'timeout=1s timeout=1s', qr/"timeout"/, qr/repeated/ ],
	[ '', qr/number of arguments/, qr/invalid/ ],
);

my @valid = (
	'on', 'off', 'ON', 'port=6380', 'on port=6380', 'port=1', 'port=65535',
	'port=6380 on', 'addr=127.0.0.1', 'addr=::1', 'addr=[::1]',
	'addr=localhost', 'type=redis', 'type=memcached',
	'type=memcached auth=user:secret', 'interval=200', 'interval=200ms',
	'interval=1s', 'interval=1m', 'count=1', 'count=100000',
	'count=unlimited', 'timeout=1', 'timeout=500ms', 'timeout=2s',
	'auth=secret', 'auth=a=b', 'suspend=auto', 'suspend=hello',
	'on addr=127.0.0.1 port=6380 type=redis interval=1s count=10 '
		. 'timeout=100ms auth=secret',
);

$t->plan(3 * @wrong + @valid + 9);

###############################################################################

foreach my $case (@wrong) {
	my ($parameters, @expected) = @$case;
	my ($output, $code) = check($t, HTTP => $parameters);
	my ($message) = $output =~ /(\[emerg\].*)/;

	is($code, 1, "refused: $parameters");
	like($message, $_, "says so: $parameters") foreach @expected;
}

foreach my $parameters (@valid) {
	my ($output, $code) = check($t, HTTP => "$parameters key=cache.key");

	is("$code " . ($output =~ /(\[emerg\].*|\[warn\].*)/ ? $1 : ''), '0 ',
		"valid: $parameters");
}

my ($output, $code) = check($t, SERVER => 'on');
is($code, 0, 'in server');

($output, $code) = check($t, HTTP => 'on', SERVER => 'off');
is($code, 0, 'in http and in server');

($output, $code) = check($t, LOCATION => 'on');
is($code, 1, 'in location');
like($output, qr/\[emerg\].*not allowed here/, 'in location, message');

($output, $code) = check($t, SERVER => 'on', SERVER => 'off');
is($code, 1, 'twice in one server');
like($output, qr/\[emerg\].*duplicate/, 'twice in one server, message');

like($output, qr/remote_ssl_session_cache.* in .*check\.conf:\d+/,
	'message says where');

($output, $code) = check($t, SERVER => 'port=0');
like($output, qr/remote_ssl_session_cache.* in .*check\.conf:\d+/,
	'message of a parameter says where');

($output, $code) = check($t, SERVER => 'auth=hidden port=0');
unlike($output, qr/hidden/, 'password is not shown');

###############################################################################

sub check {
	my ($t, @directives) = @_;

	my $text = $config;

	while (my ($place, $parameters) = splice @directives, 0, 2) {
		$text =~ s/^(\s+)($place)$/
			"$1remote_ssl_session_cache $parameters;\n$1$2"/me;
	}

	return check_config($t, $text =~ s/^\s+(?:HTTP|SERVER|LOCATION)$//mgr);
}

###############################################################################
