package SSLSessionCache::Mail;

# IMAP, POP3 and SMTP through nginx: a configuration, servers of these protocols
# behind it that anybody can log in to, and a TLS client that says STARTTLS where
# that is due and logs in.
#
# Ports are those of mail behind 8000, as in Test::Nginx::port(): 8993, 8995 and
# 8465 with TLS from the start, 8143, 8110 and 8025 with STARTTLS.  On the second
# nginx they are one higher, on a third one four.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::Hello';

use Exporter qw/ import /;
use IO::Select;
use MIME::Base64;
use POSIX qw/ _exit /;
use Socket qw/ IPPROTO_TCP TCP_CORK TCP_NODELAY TCP_QUICKACK /;
use Test::Nginx;

use SSLSessionCache::Daemon;
use SSLSessionCache::Hello;
use SSLSessionCache::Nginx;
use SSLSessionCache::Redis;
use SSLSessionCache::Store;
use SSLSessionCache::TLS;

our @EXPORT = qw/
	mail_backends mail_config mail_get mail_hello mail_pair mail_single
/;

# Generous: reached only by something that is broken.
use constant TIMEOUT => 10;

my %protocols = (
	imap => {
		tls => 8993,
		starttls => 8143,
		backend => 8301,
		command => '0 STARTTLS',
		login => [ '1 LOGIN user secret' ],
		welcome => qr/1 OK \S+ secret/,
		tag => '2 ',
		ok => '2 OK ',
		quit => '3 LOGOUT',
	},
	pop3 => {
		tls => 8995,
		starttls => 8110,
		backend => 8302,
		command => 'STLS',
		login => [ 'USER user', 'PASS secret' ],
		welcome => qr/\+OK \S+ secret/,
		tag => '',
		ok => '+OK ',
		quit => 'QUIT',
	},
	smtp => {
		tls => 8465,
		starttls => 8025,
		backend => 8303,
		command => 'STARTTLS',
		login => [ 'HELO client',
			'AUTH PLAIN ' . encode_base64("\0user\0secret", '') ],
		welcome => qr/235 .*/,
		tag => '',
		ok => '250 ',
		quit => 'QUIT',
	},
);

###############################################################################

# Two instances with one configuration.  Options:
#
# cache: parameters of remote_ssl_session_cache, as for pair(); "none" for no
# such directive
# main, http, mail, server: lines for these blocks of the configuration; server
# is that of each protocol
# user: the name that goes to the server behind, "$http_auth_user" by default
# listen: more parameters of the sockets
# starttls: "on" by default
# store: a store that is there already
#
# Returns the store and the second instance.

sub mail_pair {
	my ($t, %opts) = @_;

	my $store = mail_single($t, %opts);
	my $other = SSLSessionCache::Nginx->new($t, 'other',
		mail_config($t, %opts, offset => 1));

	return ($store, $other);
}

# One instance; returns the store.

sub mail_single {
	my ($t, %opts) = @_;

	mail_backends($t);

	my $store = $opts{store} // (($opts{cache} // '') =~ /%%STORE%%/
		? store($t) : SSLSessionCache::Redis->new($t));

	$t->write_file_expand('nginx.conf', mail_config($t, %opts))->run();

	return $store;
}

# What nginx needs of others: programs, a certificate, servers of mail.

sub mail_backends {
	my ($t) = @_;

	$t->has(qw/http rewrite mail mail_ssl socket_ssl/)
		->has_daemon('openssl');

	certificate($t, 'localhost')
		unless -e $t->testdir() . '/localhost.crt';

	my %serve = (imap => \&_imap, pop3 => \&_pop3, smtp => \&_smtp);

	foreach my $protocol (sort keys %protocols) {
		my $backend = SSLSessionCache::Daemon->new($t,
			port => $protocols{$protocol}{backend});
		my $listener = $backend->listener();

		$backend->launch(sub { _serve($listener, $serve{$protocol}) });
	}
}

# The configuration, for more instances, of which offset tells the ports.

sub mail_config {
	my ($t, %opts) = @_;

	my %part = (
		cache => '',
		http => '',
		listen => '',
		mail => '',
		main => '',
		offset => 0,
		server => '',
		starttls => 'on',
		user => '$http_auth_user',
		%opts,
	);

	$part{cache} .= ' port=%%PORT_8379%%'
		unless $part{cache} =~ /^none$|\b(?:port|store)=/;

	my $cache = $part{cache} eq 'none' ? ''
		: "remote_ssl_session_cache on $part{cache};";
	my $http = 8080 + $part{offset};
	my ($servers, $backends) = ('', '');

	foreach my $name (sort keys %protocols) {
		my ($tls, $starttls) = map { $_ + $part{offset} }
			@{$protocols{$name}}{qw/ tls starttls /};

		$servers .= <<"EOF";
    server {
        listen    127.0.0.1:$tls ssl $part{listen};
        listen    127.0.0.1:$starttls $part{listen};
        protocol  $name;
        starttls  $part{starttls};
        $part{server}
    }

EOF

		$backends .= "$name %%PORT_$protocols{$name}{backend}%%; ";
	}

	return store_config(<<"EOF");

%%TEST_GLOBALS%%

daemon off;
$part{main}

events {
}

mail {
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server_name  localhost;
    auth_http    http://127.0.0.1:$http/auth;
    xclient      off;

    $cache
    $part{mail}

$servers
}

http {
    %%TEST_GLOBALS_HTTP%%

    map \$http_auth_protocol \$backend { $backends }

    $part{http}

    server {
        listen       127.0.0.1:$http;
        server_name  localhost;

        location = /auth {
            add_header Auth-Status OK;
            add_header Auth-Server 127.0.0.1;
            add_header Auth-Port \$backend;
            add_header Auth-User $part{user};
            return 204;
        }
    }
}

EOF
}

###############################################################################

# One of the servers behind nginx.  It takes any name and password, and says
# what they are where the protocol can; each line after that is answered with
# itself, until one that ends the connection.

sub _serve {
	my ($listener, $protocol) = @_;

	local $SIG{CHLD} = 'IGNORE';

	while (1) {
		my $client = $listener->accept() or next;

		defined(my $pid = fork()) or die "fork() failed: $!\n";
		next if $pid;

		local $/ = "\r\n";
		local $\ = "\r\n";
		$client->autoflush(1);
		setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
		$protocol->($client, sub {
			chomp(my $line = <$client> // _exit(0));
			_exit(0) if $line =~ /\b(?:LOGOUT|QUIT)$/;
			return $line;
		});
	}
}

sub _imap {
	my ($client, $line) = @_;

	print $client '* OK ready';

	while (1) {
		my ($tag, $command) = split / /, $line->(), 2;

		if ($command =~ /^LOGIN \{/) {
			print $client '+ ';
			my $user = $line->() =~ s/ \{\d+\}$//r;
			print $client '+ ';
			$command = "$user " . $line->();
		}

		print $client "$tag OK $command";
	}
}

sub _pop3 {
	my ($client, $line) = @_;

	print $client '+OK ready';
	my $user = $line->() =~ s/^USER //r;
	print $client '+OK';
	my $password = $line->() =~ s/^PASS //r;
	print $client "+OK $user $password";

	print $client '+OK ' . $line->() while 1;
}

sub _smtp {
	my ($client, $line) = @_;

	print $client '220 ready';
	print $client '250 ' . $line->() while 1;
}

###############################################################################

# One connection that logs in and says some more.  Options as of tls_get(), and
# first: what goes before anything else.  A hash: reused, session, version, login
# (the answer to that, which tells the name but in SMTP), or else error, also
# where the server behind does not get what is said, or the client what that
# answers.

sub mail_get {
	my ($port, %opts) = @_;

	my $result = eval { mail_hello($port, %opts)->get() };

	return $result // { error => $@ };
}

# A connection whose ClientHello has been sent, and no more.

sub mail_hello {
	my ($port, %opts) = @_;

	my $self = __PACKAGE__->new($port, %opts)->connect($opts{first})
		->starttls();

	return $self->send_hello($self->hello());
}

# A client that is not connected.

sub new {
	my ($class, $port, %opts) = @_;

	my $self = $class->SUPER::new(%opts);

	foreach my $protocol (values %protocols) {
		foreach my $way (qw/ tls starttls /) {
			my $offset = $port - $protocol->{$way};

			@$self{qw/ protocol has_starttls /}
				= ($protocol, $way eq 'starttls')
				if grep { $_ == $offset } 0, 1, 4;
		}
	}

	@$self{qw/ port buffer /} = ($port, '');

	return $self;
}

# Connects; what is given goes first.

sub connect {
	my ($self, $first) = @_;

	$self->{plain} = SSLSessionCache::Hello::connected($self->{port});
	syswrite $self->{plain}, $first if defined $first;

	return $self;
}

# All that is said in the clear: nothing where TLS begins at once.  What is given
# goes behind the command.

sub starttls {
	my ($self, $behind) = @_;

	return $self unless $self->{has_starttls};

	$self->plain_line();
	syswrite $self->{plain},
		"$self->{protocol}{command}\r\n" . ($behind // '');

	my $reply = $self->plain_line();
	$reply =~ /^(?:0 OK|\+OK|220 )/ or die "no STARTTLS: $reply\n";

	return $self;
}

# A line from the server, before there is TLS.

sub plain_line {
	my ($self) = @_;

	my $line = '';

	until ($line =~ s/\r\n$//) {
		IO::Select->new($self->{plain})->can_read(TIMEOUT)
			or die "timed out\n";
		sysread $self->{plain}, $line, 1, length $line
			or die "connection closed\n";
	}

	return $line;
}

# The ClientHello in pieces, each sent when the one before has left.

sub send_hello {
	my ($self, @pieces) = @_;

	foreach my $piece (@pieces) {
		syswrite $self->{plain}, $piece;
		select undef, undef, undef, 0.001 if @pieces > 1;
	}

	$self->_use_socket($self->{plain});

	return $self;
}

# The rest of the handshake, and these lines in one segment with the end of it
# where the client has the last word.

sub finish_with {
	my ($self, @lines) = @_;

	my $socket = $self->socket();

	setsockopt $socket, IPPROTO_TCP, TCP_CORK, 1;
	$self->handshake();
	$self->write(join '', map { "$_\r\n" } @lines);
	setsockopt $socket, IPPROTO_TCP, TCP_CORK, 0;

	return $self;
}

# What is said to log in, to have the server behind say something, and to leave.

sub login_lines {
	my ($self) = @_;

	return @{$self->{protocol}{login}};
}

sub echo_line {
	my ($self, $text) = @_;

	return "$self->{protocol}{tag}$text";
}

sub quit_line {
	my ($self) = @_;

	return $self->{protocol}{quit};
}

# The rest of a connection, as mail_get().

sub get {
	my ($self) = @_;

	$self->handshake();

	unless ($self->{has_starttls}) {
		my $greeting = $self->line();
		$greeting =~ /^(?:\* OK|\+OK|220) /
			or die "no greeting: $greeting\n";
	}

	my $login;

	foreach my $line ($self->login_lines()) {
		$self->write("$line\r\n");
		$login = $self->line();
	}

	$login =~ /^$self->{protocol}{welcome}$/ or die "no login: $login\n";

	my @texts = map { "number $_ " . 'x' x 1000 } 1 .. 5;
	$self->write(join '', map { $self->echo_line($_) . "\r\n" } @texts);
	$self->read_echo($_) foreach @texts;

	return {
		login => $login,
		reused => $self->reused(),
		session => $self->session(),
		version => Net::SSLeay::get_version($self->{ssl}),
	};
}

# Until the server behind says something.

sub read_echo {
	my ($self, $text) = @_;

	my $line = $self->line();
	$line eq "$self->{protocol}{ok}$text" or die "not echoed: $line\n";

	return $self;
}

sub line {
	my ($self) = @_;

	while (1) {
		return $1 if $self->{buffer} =~ s/^(.*?)\r\n//;

		# nginx's next segment may wait for what this end acknowledges
		setsockopt $self->socket(), IPPROTO_TCP, TCP_QUICKACK, 1;

		my $more = $self->read();
		length $more or die "connection closed\n";
		$self->{buffer} .= $more;
	}
}

###############################################################################

1;

###############################################################################
