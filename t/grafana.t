#!/usr/bin/perl

# Each query of examples/grafana.json is one that Prometheus understands, and has
# an answer once there were clients; the dashboard can be imported anywhere; and
# it, the alerts and the documents name no metric that is not there, and the
# documents each that is.  Otherwise a panel says "No data" for ever, and nobody
# knows whether that is good or bad.

###############################################################################

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

BEGIN { push @INC, "$FindBin::Bin/lib"; }

use Test::Nginx;

use SSLSessionCache::Prometheus;
use SSLSessionCache::Redis;
use SSLSessionCache::Seal;
use SSLSessionCache::Status;
use SSLSessionCache::TLS;
use SSLSessionCache::Wait;

###############################################################################

my $t = Test::Nginx->new()->has(qw/http http_ssl rewrite socket_ssl/)
	->has_daemon('openssl')->has_daemon('redis-server')
	->has_daemon('prometheus');

my $root = "$FindBin::Bin/..";
my $prefix = 'nginx_remote_ssl_session_cache';
my $dashboard = decode_json(content("$root/examples/grafana.json"));
my @panels = map { $_, @{$_->{panels} // []} } @{$dashboard->{panels}};
my @targets = map { my $p = $_; map { [ $p->{title}, $_->{expr} ] }
	@{$p->{targets}} } @panels;
my @variables = grep { $_->{type} eq 'query' } @{$dashboard->{templating}{list}};

certificate($t, 'localhost');
my $key = seal_key($t, 'cache.key');

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen       127.0.0.1:8443 ssl;
        server_name  localhost;

        remote_ssl_session_cache   port=%%PORT_8379%% key=cache.key;

        return 200 "";
    }

    server {
        listen       127.0.0.1:8444 ssl;
        server_name  localhost;

        remote_ssl_session_cache   port=%%PORT_8379%% key=cache.key;
        remote_ssl_session_tickets on;

        return 200 "";
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

my $redis = SSLSessionCache::Redis->new($t);

$t->plan(@targets + @variables + 11)->run();

###############################################################################

# clients, until there are rates above zero

my $prometheus = SSLSessionCache::Prometheus->new($t);

ok(wait_until(sub {
	visits($redis, $key);
	grep { $_->{value} > 0 } $prometheus->query(
		"rate(${prefix}_lookups_total{result='found'}[10s])");
}, 30), 'Prometheus has the metrics');

foreach (@targets) {
	my ($title, $query) = @$_;
	my @samples = eval { $prometheus->query(filled($query)) };

	is(problem($@, @samples), '', "$title: $query");
}

foreach (@variables) {
	my ($selector, $label) = $_->{definition} =~ /^label_values\((.*), (\w+)\)$/;
	my @values = $prometheus->values_of($label, filled($selector));

	is(@values, 1, "variable $_->{name}");
}

my ($resumed) = $prometheus->query(filled((grep { $_->[1] =~ /ticket_old/ }
	@targets)[0][1]) . ' > 0');

ok($resumed && $resumed->{value} <= 1, 'a share of resumed sessions');

# the dashboard itself

my %ids;
$ids{$_->{id}}++ foreach @panels;
my @uids = content("$root/examples/grafana.json") =~ /"uid": (?!null)(.*?),?$/mg;

is_deeply([ grep { $ids{$_} > 1 } keys %ids ], [], 'each panel has an id');
is_deeply([ grep { $_ ne '"${datasource}"' } @uids ], [], 'no data source');
is_deeply([ grep { !$_->{targets} && $_->{type} ne 'row' } @panels ], [],
	'each panel has queries');
is_deeply([ overlaps(@panels) ], [], 'no panel lies on another');

# names

my ($metrics) = http_get('/status?format=prometheus') =~ /\r\n\r\n(.*)/s;
my %types = $metrics =~ /^# TYPE ${prefix}_(\w+) (\w+)$/mg;
my %labels;

foreach ($metrics =~ /^${prefix}_(.*) \S+$/mg) {
	my ($name, $labels) = /^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})?$/;

	$labels{$name}{$_} = 1 foreach grep { $_ ne 'le' }
		($labels // '') =~ /(\w+)="/g;
}

is_deeply([ unknown($metrics, content("$root/examples/$_")) ], [],
	"metrics of $_") foreach qw/ alerts.yml grafana.json /;
is_deeply([ unknown($metrics, content("$root/docs/operating.md")
	=~ s/\Q...\E(?=_)/$prefix/gr) ], [], 'metrics of docs/operating.md');

my %documented = documented(content("$root/docs/status.md"));

is_deeply({ map { $_ => $documented{$_}{type} } keys %documented }, \%types,
	'docs/status.md has the metrics, and their types');
is_deeply({ map { $_ => $documented{$_}{labels} } keys %documented },
	{ map { $_ => join ' ', sort keys %{$labels{$_}} } keys %types },
	'and their labels');

###############################################################################

# Full handshakes and resumptions, from the store and from tickets.

sub visits {
	my ($redis, $key) = @_;

	foreach my $port (8443, 8444) {
		my $r = tls_get($port, version => 'TLSv1.2');
		$redis->wait_id(seal_name($key, session_id($r->{session})))
			if $port == 8443;
		tls_get($port, version => 'TLSv1.2', session => $r->{session});
	}
}

# A query as Grafana would ask it, with everything chosen.

sub filled {
	my ($query) = @_;

	return $query =~ s/\$__rate_interval/10s/gr =~ s/\$(?:job|instance|store)\b/.*/gr;
}

sub problem {
	my ($error, @samples) = @_;

	return $error if $error;
	return 'no data' if !@samples;
	return 'not a number' if grep { $_->{value} =~ /NaN|Inf/ } @samples;

	return '';
}

sub overlaps {
	my (@panels) = @_;

	my %taken;

	return grep { $taken{$_}++ } map { my $g = $_->{gridPos};
		map { my $x = $_; map { "$x,$_" } $g->{y} .. $g->{y} + $g->{h} - 1 }
			$g->{x} .. $g->{x} + $g->{w} - 1 } @panels;
}

# What a text names that is not on the page.

sub unknown {
	my ($metrics, $text) = @_;

	my %there = map { $_ => 1 } $metrics =~ /^(${prefix}_\w+)/mg;
	my %named = map { $_ => 1 } $text =~ /(${prefix}_\w+)/g;

	return grep { !$there{$_} } sort keys %named;
}

# Each metric of the document's table.

sub documented {
	my ($text) = @_;

	my %documented;

	while ($text =~ /^\| ((?:`\w+`(?:, )?)+) \| (counter|gauge|histogram).*? \|(.*?)\|$/mg) {
		my ($names, $type, $labels) = ($1, $2, $3);

		# but for what a label may be
		$labels =~ s/\(.*?\)//g;
		$documented{$_} = {
			type => $type,
			labels => join(' ', sort $labels =~ /`(\w+)`/g),
		} foreach $names =~ /(\w+)/g;
	}

	return %documented;
}

sub content {
	my ($file) = @_;

	open my $f, '<', $file or die "Can't open $file: $!\n";
	local $/;

	return scalar <$f>;
}

###############################################################################
