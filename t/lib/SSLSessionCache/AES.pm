package SSLSessionCache::AES;

# AES-256 with the openssl command: blocks by themselves, GCM (NIST SP 800-38D),
# and CBC.

###############################################################################

use warnings;
use strict;

use Exporter qw/ import /;
use File::Temp;

our @EXPORT = qw/
	aes cbc_open gcm_open gcm_seal gcm_text
/;

use constant TAG => 16;

###############################################################################

# Blocks, each by itself.

sub aes {
	my ($key, @blocks) = @_;

	return _openssl('-aes-256-ecb -nopad', $key, undef, join '', @blocks);
}

# What was encrypted, without its padding.

sub cbc_open {
	my ($key, $iv, $text) = @_;

	return _openssl('-d -aes-256-cbc', $key, $iv, $text);
}

# A text with its tag.

sub gcm_seal {
	my ($key, $nonce, $aad, $text) = @_;

	my $sealed = gcm_text($key, $nonce, $text);

	return $sealed . _gcm_tag($key, $nonce, $aad, $sealed);
}

# The text, if the tag is right.

sub gcm_open {
	my ($key, $nonce, $aad, $sealed) = @_;

	my $tag = substr $sealed, -(TAG), TAG, '';

	return unless $tag eq _gcm_tag($key, $nonce, $aad, $sealed);

	return gcm_text($key, $nonce, $sealed);
}

# Encrypts and decrypts, with a counter that is at 2 for the first block.

sub gcm_text {
	my ($key, $nonce, $text) = @_;

	return _openssl('-aes-256-ctr', $key, "$nonce\0\0\0\2", $text);
}

sub _gcm_tag {
	my ($key, $nonce, $aad, $sealed) = @_;

	my ($hash_key, $mask) = unpack '(a16)2', aes($key, "\0" x 16, "$nonce\0\0\0\1");
	my $data = join '', map({ $_ . "\0" x (-length() % 16) } $aad, $sealed),
		map { pack 'Q>', 8 * length } $aad, $sealed;

	return $mask ^ _ghash($hash_key, $data);
}

# SP 800-38D, sections 6.3 and 6.4.

sub _ghash {
	my ($key, $data) = @_;

	my @hash = (0, 0);

	foreach my $block (unpack '(a16)*', $data) {
		my @block = unpack 'Q>2', $block;
		my @times = unpack 'Q>2', $key;
		my @product = (0, 0);

		foreach my $bit (split //, unpack 'B128', pack 'Q>2',
			$hash[0] ^ $block[0], $hash[1] ^ $block[1])
		{
			if ($bit) {
				$product[0] ^= $times[0];
				$product[1] ^= $times[1];
			}

			my $is_odd = $times[1] & 1;

			$times[1] = $times[1] >> 1 | $times[0] << 63;
			$times[0] >>= 1;
			$times[0] ^= 0xe1 << 56 if $is_odd;
		}

		@hash = @product;
	}

	return pack 'Q>2', @hash;
}

sub _openssl {
	my ($how, $key, $iv, $text) = @_;

	my $command = "openssl enc $how -K " . unpack 'H*', $key;
	$command .= ' -iv ' . unpack 'H*', $iv if defined $iv;

	my $input = File::Temp->new();
	binmode $input;
	print $input $text;
	close $input;

	my $output = `$command -in $input`;

	die "'openssl enc $how' failed\n" if $?;

	return $output;
}

###############################################################################

1;

###############################################################################
