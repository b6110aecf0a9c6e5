#!/usr/bin/perl

# A server of mail{} takes the directive from mail{}, switches it off, or has one of
# its own.  Without it sessions would land where nobody asked for them.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Mail;
use SSLSessionCache::Redis;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new();

# As it was said before "listen ... ssl", until nginx 1.25.1

my $ssl_on = $t->has_version('1.25.1') ? '' : <<'EOF';
    server {
        listen    127.0.0.1:8999;
        protocol  pop3;
        ssl       on;
    }
EOF

my $another = SSLSessionCache::Redis->new($t, port => 8380);

# The servers of Mail.pm inherit; these have lines of their own

my $redis = mail_single($t, mail => $ssl_on . <<'EOF');
    server {
        listen    127.0.0.1:8994 ssl;
        listen    127.0.0.1:8144;
        protocol  imap;
        starttls  on;

        remote_ssl_session_cache off;
    }

    server {
        listen    127.0.0.1:8997 ssl;
        listen    127.0.0.1:8147;
        protocol  imap;
        starttls  on;

        remote_ssl_session_cache port=%%PORT_8380%%;
    }

    server {
        listen    127.0.0.1:8114;
        protocol  pop3;
    }
EOF
$t->plan($ssl_on ? 9 : 8);

###############################################################################

# Records in the store of mail{}, in the other one, and a resumption: that of the
# server without the cache is by a stateless ticket

foreach my $way ([ 'with TLS', 8993 ], [ 'with STARTTLS', 8143 ]) {
	my ($name, $port) = @$way;

	is(made($port), '1 0 1', "inherited, $name");
	is(made($port + 1), '0 0 1', "switched off, $name");
	is(made($port + 4), '0 1 1', "its own, $name");
}

is(made(8999), '1 0 1', 'inherited, "ssl on"') if $ssl_on;

# One that has no TLS is as it was

my $client = SSLSessionCache::Mail->new(8114)->connect();

like($client->plain_line(), qr/^\+OK/, 'without TLS, greeted');
eval { SSLSessionCache::Mail->new(8114)->connect()->starttls() };
like($@, qr/^no STARTTLS: -ERR/, 'without TLS, no STLS');

###############################################################################

sub made {
	my ($port) = @_;

	$_->clear() foreach $redis, $another;

	my $r = mail_get($port, version => 'TLSv1.2');
	wait_until(sub { $redis->keys() + $another->keys() }, 1)
		if length session_id($r->{session});
	my $reused = mail_get($port, version => 'TLSv1.2',
		session => $r->{session})->{reused};

	return join ' ', scalar $redis->keys(), scalar $another->keys(), $reused;
}

###############################################################################
