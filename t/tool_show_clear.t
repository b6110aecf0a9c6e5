#!/usr/bin/perl

# "show" and "revoke" find a session that is stored in clear by its id alone, and say
# of one in a stateless ticket that it is in no store.  Otherwise an operator takes a
# session for ended that is not.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Pair;
use SSLSessionCache::TLS;
use SSLSessionCache::Tool;

###############################################################################

my $t = Test::Nginx->new();
my ($store) = pair($t);
my $dir = $t->testdir();
my $port = "port=$store->{port}";
$t->plan(9);

###############################################################################

my $r = tls_get(8443, version => 'TLSv1.2');
my $id = session_id($r->{session});
my $hex = unpack 'H*', $id;

$store->wait_id($id);

my $shown = tool('show', $hex, $port);

is($shown->{status}, 0, 'shown');
like($shown->{out}, qr/^key: sslsessioncache:$hex\n.*: found\n.*\n  in clear\n  protocol: TLSv1\.2/m,
	'in clear');

$store->put($store->key($id), 'x' x 200);
like(tool('show', $hex, $port)->{out}, qr/^  damaged, or not the record of this id$/m,
	'damaged');

$store->put($store->key($id), "\2" . 'x' x 200);
like(tool('show', $hex, $port)->{out}, qr/^  sealed: without key=/m, 'sealed');

is(tool('revoke', $hex, $port)->{status}, 0, 'revoked');
ok(!$store->has_key($store->key($id)), 'gone');
is(tool('show', $hex, $port)->{status}, 1, 'not there');

# a ticket that nginx has sealed itself

$t->write_file('ticket.conf', <<"EOF");
daemon off;
pid $dir/ticket.pid;
error_log $dir/ticket.log;
events { }
http {
    access_log off;
    server {
        listen 127.0.0.1:@{[ port(8450) ]} ssl;
        ssl_certificate $dir/localhost.crt;
        ssl_certificate_key $dir/localhost.key;
        ssl_session_tickets on;
    }
}
EOF
$t->run_daemon($ENV{TEST_NGINX_BINARY}, '-p', "$dir/", '-c', 'ticket.conf');
$t->waitforsocket('127.0.0.1:' . port(8450));

my $ticket = tls_get(8450, version => 'TLSv1.3');
my $pem = write_session($t, 'session.pem', $ticket->{session});

my $told = tool('show', '--session', $pem, $port);
is($told->{status}, 2, 'a ticket');
like($told->{err}, qr/is in a ticket of \d+ bytes, and so in no store/, 'told');

###############################################################################
