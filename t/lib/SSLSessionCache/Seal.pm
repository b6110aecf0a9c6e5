package SSLSessionCache::Seal;

# Key files, and sealed records as whoever has the key sees them: made with the
# openssl command from the description in core/src/session/sealed.rs, not by the module.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use Net::SSLeay;

use SSLSessionCache::AES;
use SSLSessionCache::Nginx;

our @EXPORT = qw/
	master_key read_record seal_id seal_key seal_name seal_record_key
/;

use constant {
	HEADER => 21,
	TAG => 16,
};

###############################################################################

# A key file in the test's directory, of random bytes or those given.

sub seal_key {
	my ($t, $name, $bytes) = @_;

	Net::SSLeay::RAND_bytes($bytes, 32) unless defined $bytes;

	private_file($t, $name, $bytes);

	return $bytes;
}

# The session id with the random part of this one that the key mints.

sub seal_id {
	my ($key, $id) = @_;

	my $seed = substr $id, 0, 15;

	return $seed . substr(aes($key, "\0" x 16), 0, 1)
		. aes($key, "\1$seed");
}

# What a session is called in the store.

sub seal_name {
	my ($key, $id) = @_;

	return aes($key, "\2" . substr $id, 0, 15);
}

# What its record is sealed with.

sub seal_record_key {
	my ($key, $id) = @_;

	my $seed = substr $id, 0, 15;

	return aes($key, "\3$seed", "\4$seed");
}

# A record in parts: version, expiry, nonce, session.  The tag is not looked at.

sub read_record {
	my ($key, $id, $record) = @_;

	my ($version, $expiry, $nonce) = unpack 'CQ>a12', $record;
	my $sealed = substr $record, HEADER, -(TAG);

	return ($version, $expiry, $nonce,
		gcm_text(seal_record_key($key, $id), $nonce, $sealed));
}

# The secret of a session that is written down as OpenSSL does.

sub master_key {
	my ($der) = @_;

	my $session = Net::SSLeay::d2i_SSL_SESSION($der);
	my $secret = Net::SSLeay::SESSION_get_master_key($session);
	Net::SSLeay::SESSION_free($session);

	return $secret;
}

###############################################################################

1;

###############################################################################
