//! AES-256 and AES-256-GCM, which names and records of sealed sessions are made with.

use std::cell::RefCell;

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use ssl_session_cache_core::session::sealed::{Aead, BlockCipher, KEY_LEN, NONCE_LEN, TAG_LEN};
use zeroize::Zeroizing;

/// AES-256 under one key, on single blocks.
pub(crate) struct Aes(RefCell<CipherCtx>);

impl Aes {
    /// Fails where OpenSSL has no AES-256 or no memory.
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Result<Self, ErrorStack> {
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(Cipher::aes_256_ecb()), Some(key), None)?;
        context.set_padding(false);
        Ok(Self(RefCell::new(context)))
    }
}

impl BlockCipher for Aes {
    fn encrypt(&self, blocks: &mut [u8]) -> bool {
        let mut context = self.0.borrow_mut();
        // OpenSSL's wrapper wants room for one block more.
        let mut output = Zeroizing::new(vec![0; blocks.len() + context.block_size()]);
        match context.cipher_update(blocks, Some(&mut output)) {
            Ok(written) if written == blocks.len() => {
                blocks.copy_from_slice(&output[..written]);
                true
            }
            _ => false,
        }
    }
}

/// AES-256-GCM.
pub(crate) struct Gcm;

impl Aead for Gcm {
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        let mut sealed = || {
            let mut context = CipherCtx::new()?;
            context.encrypt_init(Some(Cipher::aes_256_gcm()), Some(key), Some(nonce))?;
            context.cipher_update(aad, None)?;
            context.cipher_update_inplace(text, text.len())?;
            context.cipher_final(&mut [])?;
            let mut tag = [0; TAG_LEN];
            context.tag(&mut tag)?;
            Ok::<_, ErrorStack>(tag)
        };
        sealed().ok()
    }

    fn open(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        tag: &[u8; TAG_LEN],
        text: &mut [u8],
    ) -> bool {
        assert_eq!(sealed.len(), text.len());
        let mut opened = || {
            let mut context = CipherCtx::new()?;
            context.decrypt_init(Some(Cipher::aes_256_gcm()), Some(key), Some(nonce))?;
            context.set_tag(tag)?;
            context.cipher_update(aad, None)?;
            context.cipher_update(sealed, Some(text))?;
            context.cipher_final(&mut [])?;
            Ok::<_, ErrorStack>(())
        };
        opened().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix C.3.
    #[test]
    fn aes_is_that_of_the_standard() {
        let key = core::array::from_fn(|n| n as u8);
        let block: [u8; 16] = core::array::from_fn(|n| 0x11 * n as u8);
        let mut blocks = [block, block].concat();
        assert!(Aes::new(&key).unwrap().encrypt(&mut blocks));
        let expected = 0x8ea2_b7ca_5167_45bf_eafc_4990_4b49_6089_u128.to_be_bytes();
        assert_eq!(blocks, [expected, expected].concat());
    }

    #[test]
    fn a_cipher_encrypts_again() {
        let aes = Aes::new(&[7; KEY_LEN]).unwrap();
        let (mut one, mut other) = ([1; 16], [1; 16]);
        assert!(aes.encrypt(&mut one) && aes.encrypt(&mut other));
        assert_eq!(one, other);
        assert_ne!(one, [1; 16]);
    }

    /// The Galois/Counter Mode of Operation (McGrew, Viega), test case 14.
    #[test]
    fn gcm_is_that_of_the_standard() {
        let mut text = [0; 16];
        let tag = Gcm.seal(&[0; KEY_LEN], &[0; NONCE_LEN], b"", &mut text).unwrap();
        assert_eq!(u128::from_be_bytes(text), 0xcea7_403d_4d60_6b6e_074e_c5d3_baf3_9d18);
        assert_eq!(u128::from_be_bytes(tag), 0xd0d1_c8a7_9999_6bf0_265b_98b5_d48a_b919);
    }

    #[test]
    fn what_is_sealed_opens_unless_it_is_changed() {
        const SESSION: &[u8] = b"a session of 26 bytes here";
        let (key, nonce) = ([1; KEY_LEN], [2; NONCE_LEN]);
        let mut sealed = SESSION.to_vec();
        let tag = Gcm.seal(&key, &nonce, b"context", &mut sealed).unwrap();
        assert_ne!(sealed, SESSION);

        let open = |aad: &[u8], sealed: &[u8], tag: &[u8; TAG_LEN]| {
            let mut text = vec![0; sealed.len()];
            Gcm.open(&key, &nonce, aad, sealed, tag, &mut text).then_some(text)
        };
        assert_eq!(open(b"context", &sealed, &tag).as_deref(), Some(SESSION));
        assert_eq!(open(b"another", &sealed, &tag), None);
        assert_eq!(open(b"context", &sealed, &[0; TAG_LEN]), None);
        sealed[3] ^= 1;
        assert_eq!(open(b"context", &sealed, &tag), None);
    }
}
