package SSLSessionCache::Tickets;

# Seeds of ticket keys as they lie in the store, and tickets, as whoever has the
# key file sees them: made from the description in core/src/ticket/record.rs and
# core/src/ticket/keys.rs, not by the module.
#
# An epoch is a hash: number, rotate (its length in seconds), site and prefix.

###############################################################################

use warnings;
use strict;

use Digest::SHA qw/ hmac_sha256 sha1 /;
use Exporter qw/ import /;
use Net::SSLeay;

use SSLSessionCache::AES;

our @EXPORT = qw/
	epoch epoch_key epoch_name id_context next_seed open_seed open_ticket
	seal_seed ticket_keys
/;

use constant {
	VERSION => 0x81,
	NONCE => 12,
	SEED => 32,
	KEY_NAME => 16,
	IV => 16,
	MAC => 32,
};

###############################################################################

# The epoch of a time, in Unix seconds.

sub epoch {
	my ($time, $rotate, %more) = @_;

	return { number => int $time / $rotate, rotate => $rotate, site => 0,
		prefix => 'sslsessioncache:', %more };
}

# What the seed of an epoch is called in the store.

sub epoch_name {
	my ($key, $epoch) = @_;

	return aes($key, chr(16 * $epoch->{site} + 5) . _input($epoch));
}

# The same as the store's key: in hex, behind the prefix.

sub epoch_key {
	my ($key, $epoch) = @_;

	return $epoch->{prefix} . unpack 'H*', epoch_name($key, $epoch);
}

# The record of a seed that was made at a time, in Unix seconds.

sub seal_seed {
	my ($key, $epoch, $seed, $made) = @_;

	Net::SSLeay::RAND_bytes(my $nonce, NONCE);

	return pack('C', VERSION) . $nonce . gcm_seal(_record_key($key, $epoch),
		$nonce, _associated_data($epoch), $seed . pack 'Q>', $made);
}

# The seed and the time when it was made; nothing where the record is not
# authentic.

sub open_seed {
	my ($key, $epoch, $record) = @_;

	my ($version, $nonce, $sealed) = unpack 'Ca12a*', $record;

	return unless $version == VERSION;

	my $text = gcm_open(_record_key($key, $epoch), $nonce,
		_associated_data($epoch), $sealed);

	return defined $text ? unpack 'a32Q>', $text : ();
}

# The seed of the epoch after one with this seed, where the store does not tell.

sub next_seed {
	my ($seed) = @_;

	return _expand($seed, 'ratchet', SEED);
}

# What tickets of a session id context are made with: a hash of name, cipher and
# mac.

sub ticket_keys {
	my ($seed, $context) = @_;

	my %keys;

	@keys{qw/ name cipher mac /} = unpack 'a16a32a32',
		_expand($seed, 'ticket' . pack('C/a', $context), 80);

	return \%keys;
}

# The session in a ticket (RFC 5077, section 4), as OpenSSL writes it down;
# nothing where it is not authentic, or under another key.

sub open_ticket {
	my ($keys, $ticket) = @_;

	my $mac = substr $ticket, -(MAC), MAC, '';
	my ($name, $iv, $text) = unpack 'a16a16a*', $ticket;

	return unless $name eq $keys->{name};
	return unless $mac eq hmac_sha256($ticket, $keys->{mac});

	return cbc_open($keys->{cipher}, $iv, $text);
}

# The session id context of a server in http{} that asks for no client
# certificate, as nginx makes it of the server's own.

sub id_context {
	my ($t, $certificate) = @_;

	my $path = $t->testdir() . "/$certificate.crt";
	my $der = `openssl x509 -in $path -outform DER`;

	die "Can't read $path\n" if $?;

	return sha1('HTTP' . sha1($der));
}

sub _record_key {
	my ($key, $epoch) = @_;

	return aes($key, map { chr($_) . _input($epoch) } 6, 7);
}

sub _input {
	my ($epoch) = @_;

	return pack 'Q>L>x3', @$epoch{qw/ number rotate /};
}

sub _associated_data {
	my ($epoch) = @_;

	return pack 'CQ>L>Ca*', VERSION, @$epoch{qw/ number rotate site prefix /};
}

# HKDF-Expand (RFC 5869, section 2.3) with SHA-256.

sub _expand {
	my ($key, $info, $length) = @_;

	my ($output, $block) = ('', '');

	for (my $number = 1; length $output < $length; $number++) {
		$block = hmac_sha256($block . $info . chr $number, $key);
		$output .= $block;
	}

	return substr $output, 0, $length;
}

###############################################################################

1;

###############################################################################
