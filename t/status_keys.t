#!/usr/bin/perl

# The status page tells which keys the sessions of a store are sealed with: by an
# id that is the same on every machine with the same key, and another with
# another; of several, each for Prometheus, and in JSON the one with the oldest
# file.  A fallback has those of the stores in front of it.  Otherwise nobody sees
# that a machine has missed a change of keys, or is told so of machines that agree.

###############################################################################

use warnings;
use strict;

use FindBin;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Seal;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl socket_ssl/)
	->has_daemon('openssl');

my $config = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

remote_ssl_session_store there {
    server   127.0.0.1:%%PORT_8378%%;
    type     memcached;
    timeout  200ms;
    site     2;
}

remote_ssl_session_store here {
    server   127.0.0.1:%%PORT_8379%%;
    type     memcached;
    timeout  100ms;
    site     1;
    fallback there;
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache store=here key=new.key key=old.key;
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache store=here key=older.key prefix=other;
    }

    server {
        listen       127.0.0.1:8445 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8377%% timeout=2s;
    }

    server {
        listen       127.0.0.1:8446 ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8377%% timeout=1500ms;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /status {
            remote_ssl_session_cache_status;
        }
    }
}

EOC

my ($dir, $now) = ($t->testdir(), time());
my %made = (new => $now - 100, old => $now - 300, older => $now - 200);

certificate($t, 'localhost');

foreach my $name (keys %made) {
	seal_key($t, "$name.key");
	utime $made{$name}, $made{$name}, "$dir/$name.key";
}

$t->write_file_expand('nginx.conf', $config)->plan(15)->run();
my $other = SSLSessionCache::Nginx->new($t, 'other',
	$config =~ s/844(\d)/845$1/gr =~ s/8080/8081/r =~ s/key=new.key key=old.key/key=old.key/r);

###############################################################################

my $prefix = 'nginx_remote_ssl_session_cache';
my %stores = map { $_->{name} => $_ } @{status()->{stores}};
my ($here, $there) = @stores{qw/ here there /};
my $clear = $stores{'redis 127.0.0.1:' . port(8377)};

is($here->{type}, 'memcached', 'type of a block');
is($clear->{type}, 'redis', 'and of a line');
is($here->{timeout}, 0.1, 'timeout');
is($clear->{timeout}, 1.5, 'the shortest one of two');
like($here->{key_id}, qr/^[0-9a-f]{8}$/, 'id of a key');
is($here->{key_time}, $made{older}, 'the time of the oldest file');
cmp_ok(abs($here->{key_age} - 200), '<', 60, 'its age');
is($there->{key_id}, $here->{key_id}, 'the fallback has the same key');
is($clear->{key_id}, undef, 'no key');

my ($one, $two) = map { { keys_of($_) } } 8080, 8081;
my ($new, $older) = sort { $one->{here}{$b} <=> $one->{here}{$a} }
	keys %{$one->{here}};

is_deeply($one->{here}, { $new => $made{new}, $older => $made{older} },
	'those that seal, for Prometheus');
is_deeply($one->{there}, $one->{here}, 'and for the fallback');
is($older, $here->{key_id}, 'the same id as in JSON');
is_deeply([ sort values %{$two->{here}} ], [ @made{qw/ old older /} ],
	'keys of another machine');
is($two->{here}{$older}, $made{older}, 'the id of a key that is the same');
ok(!$two->{here}{$new}, 'the id of one that is not');

###############################################################################

# The times of the keys of each store.

sub keys_of {
	my ($port) = @_;

	my $text = http_get('/status?format=prometheus',
		socket => connected($port));
	my $labels = qr/store="(.*?)",type="memcached",key_id="(.*?)"/;
	my %keys;
	$keys{$1}{$2} = $3
		while $text =~ /^${prefix}_key_timestamp_seconds\{$labels\} (\d+)$/mg;

	return %keys;
}

sub connected {
	my ($port) = @_;

	return IO::Socket::INET->new('127.0.0.1:' . port($port))
		// die "Can't connect: $!\n";
}

###############################################################################
