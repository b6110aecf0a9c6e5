#!/usr/bin/perl

# http{} and mail{} with the same directive use the same connections to the store,
# and each keeps to its own sessions: one of the other's is not resumed, though
# the certificate is the same, and is still there for whom it is for.  Otherwise a
# busy machine has twice the connections, or a client passes for one that has
# shown itself to another service.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new();

my $cache = 'type=%%STORE%% port=%%PORT_8379%%';

my $store = mail_single($t, cache => $cache, http => <<"EOF");
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    remote_ssl_session_cache on $cache;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        location / {
            return 200 "\$ssl_session_reused";
        }
    }
EOF
$t->plan(17);

###############################################################################

my %get = (http => \&tls_get, mail => \&mail_get);
my %port = (http => 8443, mail => 8993);

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $way ([ 'http', 'mail' ], [ 'mail', 'http' ]) {
		my ($own, $other) = @$way;
		my $name = "$version, of $own";

		my $session = get($own, $version)->{session};
		$store->wait_id(session_id($session));
		$store->forget_calls();

		my $r = get($other, $version, $session);

		is($r->{error}, undef, "$name, served in $other");
		is($r->{reused}, 0, "$name, not resumed in $other");
		is($store->calls('delete'), 0, "$name, not deleted");
		is(get($own, $version, $session)->{reused}, 1,
			"$name, resumed in $own");
	}
}

is($store->clients(), 1, 'one connection');

###############################################################################

sub get {
	my ($block, $version, $session) = @_;

	return $get{$block}->($port{$block}, version => $version,
		session => $session);
}

###############################################################################
