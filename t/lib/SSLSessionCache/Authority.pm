package SSLSessionCache::Authority;

# A certificate authority: NAME.crt in the test's directory, and certificates
# that it has signed, of which it also tells by OCSP whether they are revoked.

###############################################################################

use warnings;
use strict;

###############################################################################

sub new {
	my ($class, $t, $name) = @_;

	my $self = bless { dir => $t->testdir(), name => $name }, $class;

	$self->_openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		. "-nodes -subj /CN=$name -days 10 -out $name.crt -keyout $name.key");

	return $self;
}

# NAME.crt and NAME.key; readable by servers that run as another user.
# Options: names, as for subjectAltName, days until it expires, and a comment.

sub issue {
	my ($self, $name, %opts) = @_;

	my $days = $opts{days} // 10;

	$self->_openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		. "-nodes -subj /CN=$name -out $name.csr -keyout $name.key");

	open my $file, '>', "$self->{dir}/$name.ext" or die "open() failed: $!\n";
	print $file "subjectAltName=$opts{names}\n" if defined $opts{names};
	print $file "nsComment=$opts{comment}\n" if defined $opts{comment};
	close $file;

	$self->_openssl("x509 -req -in $name.csr -extfile $name.ext "
		. "-CA $self->{name}.crt -CAkey $self->{name}.key -CAcreateserial "
		. "-days $days -out $name.crt");

	push @{$self->{issued}}, $name;

	return $self->revoke();
}

# These certificates, and no others.

sub revoke {
	my ($self, @names) = @_;

	my %revoked = map { $_ => 1 } @names;

	open my $index, '>', "$self->{dir}/$self->{name}.index"
		or die "open() failed: $!\n";

	foreach my $name (@{$self->{issued}}) {
		my ($serial) = $self->_openssl("x509 -in $name.crt -noout -serial")
			=~ /serial=(\w+)/;

		print $index join("\t", $revoked{$name} ? 'R' : 'V', '491231235959Z',
			$revoked{$name} ? '200101000000Z' : '', $serial, 'unknown',
			"/CN=$name"), "\n";
	}

	close $index;

	return $self;
}

# What "openssl ocsp" is told to speak for this authority.

sub ocsp_options {
	my ($self) = @_;

	my $path = "$self->{dir}/$self->{name}";

	return "-index $path.index -CA $path.crt -rsigner $path.crt "
		. "-rkey $path.key -ndays 1";
}

# A file with what it says of a certificate, for ssl_stapling_file.

sub respond {
	my ($self, $name, $file) = @_;

	$self->_openssl('ocsp ' . $self->ocsp_options()
		. " -issuer $self->{name}.crt -cert $name.crt -noverify "
		. "-respout $file");

	return $self;
}

sub _openssl {
	my ($self, $command) = @_;

	my $output = `cd '$self->{dir}' && openssl $command 2>&1`;

	die "openssl $command failed: $output\n" if $?;

	return $output;
}

###############################################################################

1;

###############################################################################
