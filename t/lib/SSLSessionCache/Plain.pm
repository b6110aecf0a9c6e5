package SSLSessionCache::Plain;

# A TLS 1.2 connection with the cipher ECDHE-ECDSA-NULL-SHA, whose records can
# be written by hand when the handshake is over: nothing is encrypted, and each
# record ends with an HMAC.  For what no TLS library sends.

###############################################################################

use warnings;
use strict;

use parent 'SSLSessionCache::TLS';

use Digest::SHA qw/ hmac_sha1 hmac_sha256 /;
use Exporter qw/ import /;
use Net::SSLeay;

our @EXPORT = qw/ plain_cipher plain_connect /;

###############################################################################

# What a server's ssl_ciphers, and this client, have to say for that cipher.

sub plain_cipher {
	return 'ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0';
}

sub plain_connect {
	my ($port) = @_;

	my $self = SSLSessionCache::TLS::tls_hello($port, version => 'TLSv1.2',
		ciphers => plain_cipher())->handshake();

	# RFC 5246, sections 5 and 6.3
	my $ssl = $self->{ssl};
	my $seed = 'key expansion' . Net::SSLeay::get_server_random($ssl)
		. Net::SSLeay::get_client_random($ssl);
	my $session = Net::SSLeay::get_session($ssl);
	my $secret = Net::SSLeay::SESSION_get_master_key($session);

	$self->{mac_key} = substr
		hmac_sha256(hmac_sha256($seed, $secret) . $seed, $secret), 0, 20;

	# the client's Finished was the first record
	$self->{sequence} = 1;

	return bless $self, __PACKAGE__;
}

# A record of some type, with its HMAC.

sub record {
	my ($self, $type, $fragment) = @_;

	my $mac = hmac_sha1(pack('Q>Cnn/a', $self->{sequence}++, $type, 0x303,
		$fragment), $self->{mac_key});

	return pack 'Cnn/a', $type, 0x303, $fragment . $mac;
}

###############################################################################

1;

###############################################################################
