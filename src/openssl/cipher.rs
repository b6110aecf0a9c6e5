//! AES-256 and AES-256-GCM, by the libcrypto that nginx has loaded or holds.
//!
//! The EVP interface, as OpenSSL 1.1.1 has it and later ones still do. A context is made once and
//! given its cipher once, which OpenSSL 3 takes long to find; what is left to do for each use is to
//! set key and nonce.

use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use nginx_sys::{
    ERR_clear_error, EVP_CIPHER_CTX_ctrl, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new,
    EVP_CipherFinal_ex, EVP_CipherInit_ex, EVP_CipherUpdate, EVP_aes_256_ecb, EVP_aes_256_gcm,
    EVP_CIPHER, EVP_CIPHER_CTX, EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG,
};
use ssl_session_cache_core::session::sealed::{Aead, BlockCipher, KEY_LEN, NONCE_LEN, TAG_LEN};

/// Whether a context encrypts or decrypts.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Direction {
    Decrypt = 0,
    Encrypt = 1,
}

/// A cipher's context (EVP_CIPHER_CTX_new(3)). Used by one thread only, as all of a worker.
struct Context(NonNull<EVP_CIPHER_CTX>);

impl Context {
    /// A context for a cipher, with a key or without; `None` without memory, or where OpenSSL has
    /// no such cipher.
    ///
    /// # Safety
    ///
    /// The cipher must be valid, and its key `KEY_LEN` bytes long.
    unsafe fn new(cipher: *const EVP_CIPHER, key: Option<&[u8; KEY_LEN]>) -> Option<Self> {
        let key = key.map_or(ptr::null(), |key| key.as_ptr());
        // SAFETY: the context is valid, and so are cipher and key, as the caller promises.
        unsafe {
            let context = Self(NonNull::new(EVP_CIPHER_CTX_new())?);
            let initialised = context.init(cipher, key, ptr::null(), Direction::Encrypt);
            clear_errors_unless(initialised.is_some());
            initialised.map(|()| context)
        }
    }

    fn as_ptr(&self) -> *mut EVP_CIPHER_CTX {
        self.0.as_ptr()
    }

    /// Begins a text.
    ///
    /// # Safety
    ///
    /// The context's cipher must take a key and a nonce of these lengths.
    unsafe fn start(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        direction: Direction,
    ) -> Option<()> {
        // SAFETY: the lengths are right, as the caller promises; a null cipher stands for the one
        // that the context has.
        unsafe { self.init(ptr::null(), key.as_ptr(), nonce.as_ptr(), direction) }
    }

    /// Sets what is not null.
    ///
    /// # Safety
    ///
    /// Key and nonce must be as long as the cipher's.
    unsafe fn init(
        &self,
        cipher: *const EVP_CIPHER,
        key: *const u8,
        nonce: *const u8,
        direction: Direction,
    ) -> Option<()> {
        let encrypt = direction as c_int;
        // SAFETY: as the caller promises; a null ENGINE stands for OpenSSL's own implementation.
        let rc = unsafe {
            EVP_CipherInit_ex(self.as_ptr(), cipher, ptr::null_mut(), key, nonce, encrypt)
        };
        (rc == 1).then_some(())
    }

    /// Puts `len` bytes through the cipher.
    ///
    /// # Safety
    ///
    /// `input` must be valid for reads and `output` for writes of `len` bytes; they are the same or
    /// do not overlap. A null `output` says that the input is associated data.
    unsafe fn update(&self, output: *mut u8, input: *const u8, len: usize) -> Option<()> {
        let len = c_int::try_from(len).ok()?;
        let mut written = 0;
        // SAFETY: as the caller promises; whole blocks and GCM's text come out as they go in.
        let rc = unsafe { EVP_CipherUpdate(self.as_ptr(), output, &mut written, input, len) };
        (rc == 1 && written == len).then_some(())
    }

    /// Ends a text; on decryption `None` where its tag does not fit.
    fn finish(&self) -> Option<()> {
        let mut rest = [0; 16];
        let mut written = 0;
        // SAFETY: there is room for a block, the most that is written.
        let rc = unsafe { EVP_CipherFinal_ex(self.as_ptr(), rest.as_mut_ptr(), &mut written) };
        (rc == 1).then_some(())
    }

    /// Gets or sets GCM's tag.
    ///
    /// # Safety
    ///
    /// `tag` must be valid for `TAG_LEN` bytes: for writes with `EVP_CTRL_AEAD_GET_TAG`.
    unsafe fn tag(&self, command: u32, tag: *mut c_void) -> Option<()> {
        // SAFETY: as the caller promises.
        let rc =
            unsafe { EVP_CIPHER_CTX_ctrl(self.as_ptr(), command as c_int, TAG_LEN as c_int, tag) };
        (rc == 1).then_some(())
    }
}

impl Drop for Context {
    /// OpenSSL wipes the key schedule.
    fn drop(&mut self) {
        // SAFETY: the context is this value's own.
        unsafe { EVP_CIPHER_CTX_free(self.as_ptr()) };
    }
}

/// AES-256 under one key, on single blocks.
pub(crate) struct Aes(Context);

impl Aes {
    /// `None` where OpenSSL cannot.
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Option<Self> {
        // SAFETY: the cipher takes a key of this length.
        unsafe { Context::new(EVP_aes_256_ecb(), Some(key)) }.map(Self)
    }
}

impl BlockCipher for Aes {
    fn encrypt(&self, blocks: &mut [u8]) -> bool {
        // SAFETY: in place.
        unsafe { self.0.update(blocks.as_mut_ptr(), blocks.as_ptr(), blocks.len()) }.is_some()
    }
}

/// AES-256-GCM. Keeps the key schedule of the last record until the next, which tells nothing to
/// who can read that of the key file beside it.
pub(crate) struct Gcm(Context);

impl Gcm {
    /// `None` where OpenSSL cannot.
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: no key is passed.
        unsafe { Context::new(EVP_aes_256_gcm(), None) }.map(Self)
    }
}

impl Aead for Gcm {
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        let mut tag = [0; TAG_LEN];
        // SAFETY: GCM's nonces are of this length by default; the text is encrypted in place, and
        // the tag has room.
        let sealed = unsafe {
            (|| {
                self.0.start(key, nonce, Direction::Encrypt)?;
                self.0.update(ptr::null_mut(), aad.as_ptr(), aad.len())?;
                self.0.update(text.as_mut_ptr(), text.as_ptr(), text.len())?;
                self.0.finish()?;
                self.0.tag(EVP_CTRL_AEAD_GET_TAG, tag.as_mut_ptr().cast())
            })()
        };
        clear_errors_unless(sealed.is_some());
        sealed.map(|()| tag)
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
        // SAFETY: GCM's nonces are of this length by default; the text is as long as what is
        // sealed, and the tag is only read.
        let opened = unsafe {
            (|| {
                self.0.start(key, nonce, Direction::Decrypt)?;
                self.0.tag(EVP_CTRL_AEAD_SET_TAG, tag.as_ptr().cast_mut().cast())?;
                self.0.update(ptr::null_mut(), aad.as_ptr(), aad.len())?;
                self.0.update(text.as_mut_ptr(), sealed.as_ptr(), sealed.len())?;
                self.0.finish()
            })()
        };
        clear_errors_unless(opened.is_some());
        opened.is_some()
    }
}

/// What is left in OpenSSL's error queue would fail the next handshake.
fn clear_errors_unless(succeeded: bool) {
    if !succeeded {
        // SAFETY: has no requirements; the queue is the thread's own.
        unsafe { ERR_clear_error() };
    }
}
