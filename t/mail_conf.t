#!/usr/bin/perl

# In mail{} the directives stand where nginx's own of TLS do, what is wrong with
# them is refused with the name of the parameter, and a server without TLS is left
# alone.  Otherwise a slip of the pen shows as a cache that silently does nothing,
# or keeps nginx from starting where there is nothing to cache.

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

my $t = Test::Nginx->new()->has(qw/http mail mail_ssl/)->has_daemon('openssl');

my $config = <<'EOF';

%%TEST_GLOBALS%%

events {
}

mail {
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    auth_http  http://127.0.0.1:8080;

    IN_MAIL

    server {
        listen       127.0.0.1:8993 ssl;
        server_name  first;
        protocol     imap;
        IN_SERVER
    }

    server {
        listen       127.0.0.1:8143;
        server_name  second;
        protocol     imap;
        IN_SECOND
    }
}

EOF

certificate($t, 'localhost');
seal_key($t, 'cache.key');
$t->write_file('ticket.key', '0123456789abcdef' x 5);

my $cache = 'remote_ssl_session_cache';
my $on = "$cache on key=cache.key;";
my $tickets = 'remote_ssl_session_tickets';
my $no_certificate = 'ssl_certificate ""; ssl_certificate_key "";';

my @valid = (
	[ 'in mail', mail => $on ],
	[ 'in a server', server => $on ],
	[ 'in both', mail => $on, server => "$cache port=6380 key=cache.key;" ],
	[ 'off in mail', mail => "$cache off;" ],
	[ 'off in a server', mail => $on, server => "$cache off;" ],
	[ 'on in a server', mail => "$cache off;", server => $on ],
	[ 'all parameters', mail => "$cache on addr=127.0.0.1 port=6380 type=redis "
		. 'interval=1s count=10 timeout=100ms auth=secret key=cache.key;' ],
	[ 'with STARTTLS', mail => $on, second => 'starttls on;' ],
	[ 'with STARTTLS only', mail => $on, second => 'starttls only;' ],
	[ 'STARTTLS off', mail => $on, second => 'starttls off;' ],
	[ 'beside a cache of nginx', mail => $on,
		server => 'ssl_session_cache shared:SSL:1m;' ],
	[ 'tickets', mail => "$on $tickets on;" ],
	[ 'tickets off', mail => "$on $tickets off;" ],
	[ 'tickets off in a server', mail => "$on $tickets on;",
		server => "$tickets off;" ],
	[ 'tickets in a server', server => "$on $tickets on rotate=12h;" ],
);

my @wrong = (
	[ "$cache port=0;", qr/"$cache".*"port".*expected a number/ ],
	[ "$cache type=mysql;", qr/"$cache".*"type".*expected redis/ ],
	[ "$cache timeout=1x;", qr/"$cache".*"timeout".*expected a time/ ],
	[ "$cache addr=redis://localhost;", qr/"$cache".*"addr"/ ],
	[ "$cache key=absent.key;", qr/"$cache".*open\(\) "\S+\/absent\.key" failed/ ],
	[ "$cache suspend=on;", qr/"$cache".*"suspend".*expected auto/ ],
	[ "$cache store=absent;", qr/"$cache".*"store"/ ],
	[ "$cache host=localhost;", qr/"$cache".*unknown parameter "host/ ],
	[ "$cache port=1 port=2;", qr/"$cache".*repeated parameter "port"/ ],
	[ "$cache;", qr/number of arguments in "$cache"/ ],
	[ "$on $on", qr/"$cache" directive is duplicate/ ],
	[ "$on $tickets yes;", qr/"$tickets".*unknown parameter "yes"/ ],
	[ "$on $tickets on; $tickets on;", qr/"$tickets" directive is duplicate/ ],
	[ "$tickets on;", qr/"$tickets".*expected "$cache" with "key="/ ],
	[ "$on $tickets on; ssl_session_tickets off;", qr/"$tickets".*"ssl_session_tickets off"/ ],
	[ "$on $tickets on; ssl_session_ticket_key ticket.key;",
		qr/"$tickets".*"ssl_session_ticket_key"/ ],
);

my @old = $t->has_version('1.25.1') ? () : (
	[ 'ssl on', mail => $on, second => 'ssl on;' ],
);

$t->plan(@valid + @old + 6 * @wrong + 2);

###############################################################################

foreach my $case (@valid, @old) {
	my ($name, %at) = @$case;
	my ($output, $code) = check($t, %at);

	my @said = grep { !/"ssl" directive is deprecated/ }
		$output =~ /\[(?:emerg|warn)\].*/g;

	is("$code @said", '0 ', $name);
}

foreach my $case (@wrong) {
	my ($lines, $expected) = @$case;

	foreach my $place ('mail', 'server') {
		my ($output, $code) = check($t, $place => $lines);
		my ($message) = $output =~ /(\[emerg\].*)/;

		is($code, 1, "refused in $place: $lines");
		like($message, $expected, "says so in $place: $lines");
		like($message, qr/ in \S+check\.conf:\d/,
			"says where in $place: $lines");
	}
}

# A server that has no TLS needs no certificate

my ($output, $code) = check_config($t, place($config =~ s/^    ssl_cert.*\n//mgr
	=~ s/ ssl;/;/r, mail => $on));
is($code, 0, 'no TLS at all') or diag($output);

# TLS that is nowhere is said to be so by nginx, as without the cache

($output, $code) = check_config($t, place($config =~ s/^    ssl_cert.*\n//mgr,
	mail => $on));
like($output, qr/\[emerg\].*no "ssl_certificate" is defined/, 'no certificate');

###############################################################################

sub check {
	my ($t, %at) = @_;

	return check_config($t, place($config, %at));
}

sub place {
	my ($text, %at) = @_;

	return $text =~ s/^\s+IN_(MAIL|SERVER|SECOND)$/$at{lc $1} \/\/ ''/mger;
}

###############################################################################
