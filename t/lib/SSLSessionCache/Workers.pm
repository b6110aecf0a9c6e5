package SSLSessionCache::Workers;

# Two machines with two workers each, and several servers, with TLSv1.3 and early
# data: what is offered at one instant meets four workers.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Test::Nginx;

use SSLSessionCache::Nginx;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

our @EXPORT = qw/ four_workers /;

###############################################################################

# Each server is a list of ssl_session_cache, where a zone is shared: or none, and
# parameters of remote_ssl_session_cache; body is what it answers.  The first one's
# ports are 8440 and 8450, those of the next ones follow.  Returns the store, and
# whether sessions cross machines by now.

sub four_workers {
	my ($t, $body, @servers) = @_;

	$t->has(qw/http http_ssl rewrite socket_ssl/)->has_daemon('openssl');
	certificate($t, 'localhost');

	my $store = store($t);

	$t->write_file_expand('nginx.conf', _config(8440, $body, @servers))->run();
	SSLSessionCache::Nginx->new($t, 'other', _config(8450, $body, @servers));

	return ($store, wait_until(sub {
		my $r = tls_get(8440, version => 'TLSv1.3');
		$store->wait_id(session_id($r->{session}));

		return tls_get(8450, version => 'TLSv1.3',
			session => $r->{session})->{reused};
	}));
}

sub _config {
	my ($port, $body, @servers) = @_;

	my $servers = join '', map {
		my ($tier, $parameters) = @$_;
		my $listen = $port++;
		my $zone = $tier eq 'none' ? 'none' : "shared:tier$listen:5m";
		<<"EOC" } @servers;
    server {
        listen       127.0.0.1:$listen ssl;
        server_name  localhost;

        ssl_session_cache $zone;
        remote_ssl_session_cache port=%%PORT_8379%% timeout=5s $parameters;

        location / {
            return 200 $body;
        }
    }
EOC

	return store_config(<<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.3;
    ssl_early_data      on;

$servers
}

EOC
}

###############################################################################

1;

###############################################################################
