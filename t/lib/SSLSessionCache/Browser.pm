package SSLSessionCache::Browser;

# A headless Chromium, spoken to over WebDriver: https://www.w3.org/TR/webdriver2/

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Daemon';

use File::Path qw/ make_path /;
use FindBin;
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;
use Test::Nginx;

use SSLSessionCache::Wait;

use constant PORT => 8990;

# What a person may have: width and height.
my %sizes = (desktop => [ 1280, 900 ], phone => [ 390, 844 ]);

# Texts with less contrast than WCAG 2.2 wants for small ones (1.4.3), and what is
# wider than the window, or cut off.
my $faults = <<'EOF';
() => {
  const faults = [];
  const parse = text => text.match(/[\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) =>
    [r, g, b].map((value, at) => value * a + below[at] * (1 - a));
  const ground = element => {
    const behind = element.parentElement ? ground(element.parentElement) : [255, 255, 255];
    return over(parse(getComputedStyle(element).backgroundColor), behind);
  };
  const light = colour => {
    const [r, g, b] = colour.map(value => value / 255)
      .map(value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const isSeen = element =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
    if (!text || !isSeen(element) || element.matches("script, style")) continue;
    count++;
    const below = ground(element), colour = over(parse(getComputedStyle(element).color), below);
    const [high, low] = [light(colour), light(below)].sort((a, b) => b - a);
    const contrast = (high + .05) / (low + .05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${text}`);
  }
  if (count < 10) faults.push(`only ${count} texts`);
  for (const element of document.body.querySelectorAll("*")) {
    if (!isSeen(element)) continue;
    const name = `${element.tagName} ${element.id || element.className}`;
    if (element.getBoundingClientRect().right > innerWidth + 1) faults.push(`too wide: ${name}`);
    if (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX !== "visible")
      faults.push(`cut off: ${name}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.push("scrolls sideways");
  return faults;
}
EOF

###############################################################################

sub new {
	my ($class, $t) = @_;

	$t->has_daemon('chromedriver')->has_daemon('chromium');

	my $port = port(PORT);
	my $self = $class->SUPER::new($t,
		driver => "http://127.0.0.1:$port",
		http => HTTP::Tiny->new(timeout => 30, keep_alive => 1),
		owner => $$,
	);

	my $dir = $t->testdir();
	$self->launch('chromedriver', "--port=$port", '--log-level=OFF',
		"--log-path=$dir/chromedriver.log");
	wait_until(sub { eval { $self->_call('GET', '/status')->{ready} } })
		or die "Can't start chromedriver\n";

	# The sandbox is not for root, and the memory of containers is small.
	my @args = ('--headless=new', '--no-sandbox', '--disable-gpu',
		'--disable-dev-shm-usage', '--disable-background-networking',
		'--hide-scrollbars', '--lang=en', "--user-data-dir=$dir/chromium");
	my $made = $self->_call('POST', '/session', { capabilities => {
		alwaysMatch => {
			browserName => 'chrome',
			'goog:chromeOptions' => { args => \@args },
			'goog:loggingPrefs' => { browser => 'ALL' },
		},
	} });

	$self->{browser} = $made->{capabilities}{'goog:processID'};
	$self->{session} = "/session/$made->{sessionId}";
	$self->size('desktop');

	return $self;
}

# Also after a failure: the driver alone would leave its browser behind.  Daemons
# that are a part of the test have a copy.

sub DESTROY {
	my ($self) = @_;

	return if $self->{owner} != $$;

	local ($@, $?);
	eval { $self->_session('DELETE', '') } if $self->{session};
	kill 'KILL', $self->{browser} if $self->{browser};
}

###############################################################################

sub open {
	my ($self, $uri) = @_;

	$self->_session('POST', '/url', { url => _url($uri) });

	return $self;
}

sub reload {
	my ($self) = @_;

	$self->_session('POST', '/refresh', {});

	return $self;
}

# The value of an expression in the page, a text in UTF-8.

sub value {
	my ($self, $expression, @args) = @_;

	my $value = $self->_session('POST', '/execute/sync', {
		script => "return ($expression)", args => \@args });
	utf8::encode($value) if defined $value && !ref $value;

	return $value;
}

# The text that a person sees.

sub text {
	my ($self, $selector) = @_;

	return $self->value('[...document.querySelectorAll(arguments[0])]'
		. '.filter(e => e.checkVisibility())'
		. '.map(e => e.innerText).join("\n")', $selector);
}

# The text, once it is like that, or what it is after so many seconds.

sub wait_text {
	my ($self, $selector, $pattern, $seconds) = @_;

	my $text;
	wait_until(sub {
		return 1 if ($text = $self->text($selector)) =~ $pattern;
		select undef, undef, undef, 0.1;
		return 0;
	}, $seconds // 15);

	return $text;
}

# Keys by their names in WebDriver, to what has the focus.

my %keys = (left => "\x{e012}", right => "\x{e014}", home => "\x{e011}",
	end => "\x{e010}", escape => "\x{e00c}", tab => "\x{e004}");

sub press {
	my ($self, @names) = @_;

	my @actions = map { my $value = $keys{$_}; map {
		+{ type => $_, value => $value } } 'keyDown', 'keyUp' } @names;

	$self->_session('POST', '/actions', { actions => [
		{ type => 'key', id => 'keyboard', actions => \@actions } ] });
}

# The mouse over the first such element, at this part of its width.

sub point {
	my ($self, $selector, $x) = @_;

	$self->_pointer('mouse', _move($self->_box($selector), $x));
}

# A finger that is put there, and drawn to another part.  It stays until lifted.

sub drag {
	my ($self, $selector, $from, $to) = @_;

	my $box = $self->_box($selector);

	$self->_pointer('touch', _move($box, $from),
		{ type => 'pointerDown', button => 0 },
		map { _move($box, $from + ($to - $from) * $_ / 5) } 1 .. 5);
}

sub lift {
	my ($self) = @_;

	$self->_session('DELETE', '/actions');
}

sub _box {
	my ($self, $selector) = @_;

	return $self->value('(e => { e.scrollIntoView({ block: "center" });'
		. ' const r = e.getBoundingClientRect();'
		. ' return [r.x, r.y, r.width, r.height] })'
		. '(document.querySelector(arguments[0]))', $selector);
}

sub _move {
	my ($box, $x) = @_;

	return { type => 'pointerMove', duration => 0, origin => 'viewport',
		x => int $box->[0] + $x * $box->[2],
		y => int $box->[1] + $box->[3] / 2 };
}

sub _pointer {
	my ($self, $kind, @actions) = @_;

	$self->_session('POST', '/actions', { actions => [ { type => 'pointer',
		id => $kind, parameters => { pointerType => $kind },
		actions => \@actions } ] });
}

sub size {
	my ($self, $size) = @_;

	my ($width, $height) = @{$sizes{$size}};
	$self->{size} = $size;

	$self->cdp('Emulation.setDeviceMetricsOverride', { width => $width,
		height => $height, deviceScaleFactor => 1,
		mobile => $size eq 'phone' ? JSON::PP::true : JSON::PP::false });
}

# "light" or "dark".

sub scheme {
	my ($self, $scheme) = @_;

	$self->cdp('Emulation.setEmulatedMedia', { features => [
		{ name => 'prefers-color-scheme', value => $scheme } ] });
}

# Chromium's own protocol, for what WebDriver lacks.

sub cdp {
	my ($self, $command, $params) = @_;

	return $self->_session('POST', '/goog/cdp/execute',
		{ cmd => $command, params => $params });
}

# What the page has complained of since the last call.

sub complaints {
	my ($self) = @_;

	return map { $_->{message} }
		@{$self->_session('POST', '/se/log', { type => 'browser' })};
}

# What keeps a person from reading the page as it is now, by each size and scheme;
# and pictures of it: build/screenshots/NAME-SIZE-SCHEME.png.

sub look {
	my ($self, $name) = @_;

	my $dir = "$FindBin::Bin/../build/screenshots";
	make_path($dir);

	my @faults;

	foreach my $size (sort keys %sizes) {
		$self->size($size);

		foreach my $scheme ('dark', 'light') {
			$self->scheme($scheme);
			$self->_painted();
			push @faults, map { "$size, $scheme: $_" }
				@{$self->value("($faults)()")};
			$self->_picture("$dir/$name-$size-$scheme.png");
		}
	}

	$self->size('desktop');
	$self->_painted();

	return @faults;
}

sub _picture {
	my ($self, $path) = @_;

	my $box = $self->cdp('Page.getLayoutMetrics', {})->{cssContentSize};

	# JSON::PP would take most of a test's time for it
	my $answer = $self->_request('POST', "$self->{session}/goog/cdp/execute", {
		cmd => 'Page.captureScreenshot', params => {
			captureBeyondViewport => JSON::PP::true,
			clip => { %$box, scale => 1 } } });
	my ($png) = $answer->{content} =~ /"data":\s*"([^"]+)"/
		or die "no picture: $answer->{content}\n";

	CORE::open my $file, '>:raw', $path
		or die "Can't write a picture: $!\n";
	print $file decode_base64($png);
}

sub _painted {
	my ($self) = @_;

	$self->_session('POST', '/execute/async', { args => [], script =>
		'const done = arguments[0]; requestAnimationFrame(() =>'
		. ' requestAnimationFrame(() => setTimeout(done, 50)))' });
}

###############################################################################

sub _url {
	my ($uri) = @_;

	return $uri =~ /^\w+:/ ? $uri : 'http://127.0.0.1:' . port(8080) . $uri;
}

sub _session {
	my ($self, $method, $path, $body) = @_;

	return $self->_call($method, "$self->{session}$path", $body);
}

sub _call {
	my ($self, $method, $path, $body) = @_;

	my $answer = $self->_request($method, $path, $body);
	my $value = eval { decode_json($answer->{content})->{value} };

	die "WebDriver: $method $path: "
		. (ref $value eq 'HASH' && $value->{message} || $answer->{content})
		. "\n" unless $answer->{success};

	return $value;
}

sub _request {
	my ($self, $method, $path, $body) = @_;

	return $self->{http}->request($method, "$self->{driver}$path", {
		defined $body ? (content => encode_json($body),
			headers => { 'Content-Type' => 'application/json' }) : () });
}

###############################################################################

1;

###############################################################################
