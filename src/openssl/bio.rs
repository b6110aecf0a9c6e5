//! A filter of our own between an SSL and its socket, for what the SSL reads.

use core::cell::RefCell;
use core::ffi::{c_char, c_int, c_long, c_void, CStr};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;

use nginx_sys::{
    BIO_clear_flags, BIO_ctrl, BIO_free, BIO_get_data, BIO_get_new_index, BIO_meth_new,
    BIO_meth_set_ctrl, BIO_meth_set_read, BIO_new, BIO_read, BIO_set_data, BIO_set_flags,
    BIO_test_flags, BIO_up_ref, SSL_get_rbio, SSL_get_wbio, SSL_set0_rbio, BIO, BIO_CTRL_EOF,
    BIO_FLAGS_READ, BIO_FLAGS_RWS, BIO_FLAGS_SHOULD_RETRY, BIO_METHOD, BIO_TYPE_SOURCE_SINK,
};

use crate::openssl::Ssl;

const RETRY: c_int = (BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY) as c_int;

/// What stands between an SSL and its socket.
pub(crate) trait Filter: Sized + 'static {
    /// The filters of this kind, of this thread; `None` without memory.
    fn with_filters<T>(with: impl FnOnce(&Filters<Self>) -> T) -> Option<T>;

    /// An SSL reads.
    fn read(ssl: Ssl<'_>, room: &mut [MaybeUninit<u8>]) -> Given;
}

/// What a filter gives to a read.
pub(crate) enum Given {
    /// So many bytes of its own, one at least, which are in the room.
    Held(usize),
    /// Nothing now.
    Nothing,
    /// What the socket has, now and from now on: the filter goes.
    Socket,
}

/// Fills a room from its front with as much as it takes, and returns how much that is.
pub(crate) fn fill(room: &mut [MaybeUninit<u8>], bytes: &[u8]) -> usize {
    let count = bytes.len().min(room.len());
    // SAFETY: the room has so many bytes, and none of them is among the others.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), room.as_mut_ptr().cast(), count) };
    count
}

/// Filters of one kind.
pub(crate) struct Filters<F> {
    method: NonNull<BIO_METHOD>,
    /// Some that are not in use: to make a BIO takes longer than all that one is used for.
    free: RefCell<Vec<NonNull<BIO>>>,
    kind: PhantomData<F>,
}

impl<F: Filter> Filters<F> {
    /// As many as are in use at once, mostly.
    const MAX_FREE: usize = 64;

    /// `None` without memory.
    pub(crate) fn new(name: &'static CStr) -> Option<Self> {
        // SAFETY: the name lives as long as the process, and so do the functions: the module is
        // linked with `-z nodelete`.
        unsafe {
            let kind = match BIO_get_new_index() {
                -1 => return None,
                index => index | BIO_TYPE_SOURCE_SINK as c_int,
            };
            let method = NonNull::new(BIO_meth_new(kind, name.as_ptr()))?;
            BIO_meth_set_read(method.as_ptr(), Some(read::<F>));
            BIO_meth_set_ctrl(method.as_ptr(), Some(ctrl));
            Some(Self { method, free: RefCell::default(), kind: PhantomData })
        }
    }

    /// Puts a filter in front of the socket of an SSL that has not read from it. It goes with the SSL.
    pub(crate) fn insert(&self, ssl: Ssl<'_>) {
        // SAFETY: the SSL is valid. It gives up the one of its two references to the socket that it
        // reads from, and takes over ours to the filter.
        unsafe {
            let socket = SSL_get_rbio(ssl.as_ptr());
            if socket.is_null() || socket != SSL_get_wbio(ssl.as_ptr()) {
                return;
            }
            let free = self.free.borrow_mut().pop();
            let Some(bio) = free.or_else(|| NonNull::new(BIO_new(self.method.as_ptr()))) else {
                return;
            };
            BIO_set_data(bio.as_ptr(), ssl.as_ptr().cast());
            SSL_set0_rbio(ssl.as_ptr(), bio.as_ptr());
        }
    }

    /// Takes the filter of an SSL away, also while OpenSSL reads through it: it stays valid.
    ///
    /// # Safety
    ///
    /// The BIO must be a filter that the SSL reads from.
    unsafe fn remove(&self, ssl: Ssl<'_>, bio: NonNull<BIO>) {
        // SAFETY: the SSL is valid, and gives up its reference to the filter for one to the socket. One
        // reference to each filter that is free is ours.
        unsafe {
            let socket = SSL_get_wbio(ssl.as_ptr());
            BIO_up_ref(socket);
            BIO_up_ref(bio.as_ptr());
            SSL_set0_rbio(ssl.as_ptr(), socket);
            let mut free = self.free.borrow_mut();
            if free.len() == Self::MAX_FREE {
                // Not the one that OpenSSL may be reading through.
                BIO_free(free.swap_remove(0).as_ptr());
            }
            free.push(bio);
        }
    }
}

/// BIO_read(3).
unsafe extern "C" fn read<F: Filter>(bio: *mut BIO, out: *mut c_char, len: c_int) -> c_int {
    // SAFETY: OpenSSL passes a BIO of ours, and room for `len` bytes. The SSL that insert() has noted reads from
    // it, and so is valid.
    unsafe {
        let Some((this, ssl)) = NonNull::new(bio).zip(Ssl::from_ptr(BIO_get_data(bio).cast()))
        else {
            return 0;
        };
        let len_of_room = usize::try_from(len).unwrap_or(0);
        BIO_clear_flags(bio, RETRY);
        match F::read(ssl, slice::from_raw_parts_mut(out.cast(), len_of_room)) {
            Given::Held(count) => count as c_int,
            Given::Nothing => {
                BIO_set_flags(bio, (BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY) as c_int);
                -1
            }
            Given::Socket => {
                let socket = SSL_get_wbio(ssl.as_ptr());
                F::with_filters(|filters| filters.remove(ssl, this));
                let read = BIO_read(socket, out.cast(), len);
                BIO_set_flags(bio, BIO_test_flags(socket, RETRY));
                read
            }
        }
    }
}

/// BIO_ctrl(3). A filter knows nothing but whether the socket is at its end. It refuses that the kernel decrypts
/// what comes: the bytes that are held are not there.
unsafe extern "C" fn ctrl(
    bio: *mut BIO,
    command: c_int,
    value: c_long,
    data: *mut c_void,
) -> c_long {
    if command != BIO_CTRL_EOF as c_int {
        return 0;
    }
    // SAFETY: OpenSSL passes a BIO of ours, of an SSL that insert() has noted, and arguments of its own.
    unsafe {
        let Some(ssl) = Ssl::from_ptr(BIO_get_data(bio).cast()) else { return 0 };
        BIO_ctrl(SSL_get_wbio(ssl.as_ptr()), command, value, data)
    }
}
