#!/usr/bin/perl

# The way in which handshakes are suspended is chosen by itself, the best one that
# this nginx can do, or can be forced; the log names it at start, and why it is this
# one.  Forced to what this nginx cannot do, the configuration is refused: otherwise
# nothing would ever be resumed.  A session that is made in one way resumes in each.

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

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server');

my $config = <<'EOF';

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    SERVERS
}

EOF

my $redis = SSLSessionCache::Redis->new($t);
certificate($t, 'localhost');

# The patch of nginx adds these symbols, by which the module knows it.

my %marks = (retry => 'ngx_ssl_client_hello_retry', async => 'ngx_ssl_async_handshake');
my ($retry, $async) = map { is_in_binary($_) } @marks{qw/ retry async /};

my ($output, $code) = check_config($t, with_servers(8443 => 'async'));
my $jobs = !$code;
my $no_jobs = $async ? qr/OpenSSL cannot run jobs here .*/
	: qr/this nginx is not patched \(no symbol "$marks{async}"\); apply the patch.*/;
my $no_retry = qr/this nginx is not patched \(no symbol "$marks{retry}"\); apply the patch.*/;

my @ways = ('auto', ($retry ? 'retry' : ()), ($jobs ? 'async' : ()), 'hello');
my %ports = map { $ways[$_] => 8443 + 10 * $_ } 0 .. $#ways;

$t->write_file_expand('nginx.conf', with_servers(map { $ports{$_} => $_ } @ways))
	->plan(5 + 2 * 2 * @ways)->run();
SSLSessionCache::Nginx->new($t, 'other',
	with_servers(map { $ports{$_} + 1 => $_ } @ways));

###############################################################################

my $log = $t->read_file('error.log');
my @said = $log =~ /\[notice\].*?: handshakes of server "localhost" in .* are (suspended with .*)/g;
my %names = (
	retry => q{OpenSSL's ClientHello callback (suspend=retry)},
	async => 'OpenSSL jobs (suspend=async)',
	hello => 'the ClientHello held back (suspend=hello)',
);

my ($best, @others) = @said;
my $why = $retry ? qr/\Q$names{retry}\E, the best way$/
	: $jobs ? qr/\Q$names{async}\E, as suspend=retry is not possible: $no_retry$/
	: qr/\Q$names{hello}\E, as suspend=retry is not possible: $no_retry; /
		. qr/as suspend=async is not possible: $no_jobs$/;

like($best, qr/suspended with $why/, 'the best way, and why');
is(join("\n", @others), join("\n", map {
	"suspended with $names{$_}, as configured"
} @ways[1 .. $#ways]), 'ways that are forced');

foreach my $version ('TLSv1.2', 'TLSv1.3') {
	foreach my $way (@ways) {
		is(resumed($version, $ports{auto}, $ports{$way} + 1), 'r',
			"$version, from auto to $way");
		is(resumed($version, $ports{$way}, $ports{auto} + 1), 'r',
			"$version, from $way to auto");
	}
}

like($output, $jobs ? qr/test is successful/
	: qr/\[emerg\].*"suspend=async" of .* is not possible for server .*: $no_jobs/, 'async forced');

($output) = check_config($t, with_servers(8443 => 'retry'));

like($output, $retry ? qr/test is successful/
	: qr/\[emerg\].*"suspend=retry" of .* is not possible for server .*: $no_retry/, 'retry forced');

($output) = check_config($t, with_servers(8443 => 'hello'));

like($output, qr/test is successful/, 'hello forced');

###############################################################################

sub with_servers {
	my (@servers) = @_;

	my $text = '';

	while (my ($port, $way) = splice @servers, 0, 2) {
		$text .= <<"EOF";

    server {
        listen       127.0.0.1:$port ssl;
        server_name  localhost;

        remote_ssl_session_cache port=%%PORT_8379%% suspend=$way;

        location / {
            return 200 "\$ssl_session_reused";
        }
    }
EOF
	}

	return $config =~ s/^    SERVERS\n/$text/mr;
}

sub is_in_binary {
	my ($symbol) = @_;

	open my $binary, '<:raw', $Test::Nginx::NGINX or die "open() failed: $!\n";

	return scalar grep { /$symbol/ } <$binary>;
}

sub resumed {
	my ($version, $from, $to) = @_;

	my $r = tls_get($from, version => $version);
	$redis->wait_id(session_id($r->{session}));

	return tls_get($to, version => $version,
		session => $r->{session})->{body};
}

###############################################################################
