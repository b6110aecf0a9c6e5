package SSLSessionCache::Prometheus;

# A real Prometheus that scrapes the status page every second.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use IO::Socket::INET;
use JSON::PP;
use Test::Nginx;

use SSLSessionCache::Wait;

###############################################################################

# Options: port as in Test::Nginx::port() (8390), that of the page (8080), uri.

sub new {
	my ($class, $t, %opts) = @_;

	$t->has_daemon('prometheus');

	return $class->SUPER::new($t,
		page => 8080,
		uri => '/status',
		%opts,
		port => port($opts{port} // 8390),
	)->start();
}

sub start {
	my ($self) = @_;

	my ($t, $dir) = ($self->{t}, $self->{t}->testdir());
	my $page = port($self->{page});

	$t->write_file('prometheus.yml', <<"EOF");
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: tls
    metrics_path: $self->{uri}
    static_configs:
      - targets: [ '127.0.0.1:$page' ]
EOF

	$self->launch('prometheus', "--config.file=$dir/prometheus.yml",
		"--storage.tsdb.path=$dir/prometheus",
		"--web.listen-address=127.0.0.1:$self->{port}",
		'--log.level=warn');

	wait_until(sub { $self->get('/-/ready') }, 30)
		or die "Can't start prometheus\n";

	return $self;
}

# The samples of a query, each with its labels and its value; dies where there is
# an error in it.

sub query {
	my ($self, $query) = @_;

	my $data = $self->api("query?query=" . escaped($query));

	return map { { labels => $_->{metric}, value => $_->{value}[1] } }
		@{$data->{result}};
}

# The values of a label of what the selector matches.

sub values_of {
	my ($self, $label, $selector) = @_;

	return @{$self->api("label/$label/values?match[]=" . escaped($selector))};
}

sub api {
	my ($self, $path) = @_;

	my $answer = decode_json($self->get("/api/v1/$path") // '{}');

	die $answer->{error} // 'no answer', "\n"
		if ($answer->{status} // '') ne 'success';

	return $answer->{data};
}

# The body; also that of an error, which says what is wrong.

sub get {
	my ($self, $uri) = @_;

	my $socket = IO::Socket::INET->new("127.0.0.1:$self->{port}") or return;
	my ($body) = (http_get($uri, socket => $socket) // '')
		=~ /\r\n\r\n(.*)/s;

	return $body;
}

sub escaped {
	my ($text) = @_;

	return $text =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger;
}

###############################################################################

1;

###############################################################################
