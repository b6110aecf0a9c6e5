//! A filter of our own in front of the BIO that an SSL reads from (BIO_push(3)).

use core::ffi::{c_char, c_int, c_long, c_void, CStr};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::rc::Rc;

use nginx_sys::{
    BIO_clear_flags, BIO_copy_next_retry, BIO_ctrl, BIO_get_data, BIO_get_new_index, BIO_meth_new,
    BIO_meth_set_ctrl, BIO_meth_set_destroy, BIO_meth_set_read, BIO_method_type, BIO_new, BIO_next,
    BIO_pop, BIO_push, BIO_read, BIO_set_data, BIO_set_flags, BIO_test_flags, BIO_up_ref,
    SSL_get_rbio, SSL_set0_rbio, BIO, BIO_FLAGS_READ, BIO_FLAGS_RWS, BIO_FLAGS_SHOULD_RETRY,
    BIO_METHOD, BIO_TYPE_FILTER,
};

use crate::openssl::Ssl;

/// BIO_CTRL_SET_KTLS, which OpenSSL keeps to itself (include/internal/bio.h).
const BIO_CTRL_SET_KTLS: c_int = 72;

/// What stands between OpenSSL and the BIO that it reads from.
pub(crate) trait Filter {
    /// OpenSSL reads.
    fn read(&self, source: Source<'_>, room: Room<'_>) -> Given;
}

/// What a filter gives to a read.
pub(crate) enum Given {
    /// So many bytes of its own, one at least, which are in the room.
    Held(usize),
    /// What the source has.
    Source,
    /// Nothing now.
    Nothing,
    /// What ended the source's stream: the result of its read.
    End(c_int),
}

/// Where OpenSSL wants to have what it reads.
pub(crate) struct Room<'a> {
    start: *mut u8,
    len: usize,
    lifetime: PhantomData<&'a mut [u8]>,
}

impl Room<'_> {
    /// Fills the room from its front with as much as it takes, and returns how much that is.
    pub(crate) fn fill(self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.len);
        // SAFETY: the room has so many bytes, and none of them is ours.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start, count) };
        count
    }
}

/// The BIO behind a filter.
pub(crate) struct Source<'a>(NonNull<BIO>, PhantomData<&'a ()>);

/// What reading from a source came to.
pub(crate) enum Read {
    /// There are more bytes.
    More,
    /// Not now.
    Retry,
    /// The end of the stream, or an error: the result of the read.
    End(c_int),
}

impl Source<'_> {
    /// Appends what comes with one read, up to `max` bytes in all.
    pub(crate) fn read(&self, bytes: &mut Vec<u8>, max: usize) -> Read {
        /// Room for the ClientHellos of today's browsers, with a post-quantum key share.
        const READ: usize = 2048;

        let source = self.0.as_ptr();
        let len = bytes.len();
        let left = max.saturating_sub(len);
        bytes.reserve(READ.min(left));
        let room = (bytes.capacity() - len).min(left);
        // SAFETY: the BIO is valid, the vector has the room, and so many bytes are then written.
        let read = unsafe {
            let read = BIO_read(source, bytes.as_mut_ptr().add(len).cast(), room as c_int);
            bytes.set_len(len + usize::try_from(read).unwrap_or(0));
            read
        };
        // SAFETY: the BIO is valid.
        let retry = || unsafe { BIO_test_flags(source, BIO_FLAGS_SHOULD_RETRY as c_int) } != 0;
        match read {
            1.. => Read::More,
            _ if retry() => Read::Retry,
            _ => Read::End(read),
        }
    }
}

/// How OpenSSL calls filters of one kind. Lives as long as the process.
pub(crate) struct Method<F> {
    method: NonNull<BIO_METHOD>,
    kind: c_int,
    filter: PhantomData<fn() -> F>,
}

// SAFETY: what `method` points to is not written to any more.
unsafe impl<F> Send for Method<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Method<F> {}

impl<F: Filter> Method<F> {
    /// `None` without memory.
    pub(crate) fn new(name: &'static CStr) -> Option<Self> {
        // SAFETY: the name lives as long as the process, and so do the functions: the module is
        // linked with `-z nodelete`.
        unsafe {
            let kind = match BIO_get_new_index() {
                -1 => return None,
                index => index | BIO_TYPE_FILTER as c_int,
            };
            let method = NonNull::new(BIO_meth_new(kind, name.as_ptr()))?;
            BIO_meth_set_read(method.as_ptr(), Some(read::<F>));
            BIO_meth_set_ctrl(method.as_ptr(), Some(ctrl));
            BIO_meth_set_destroy(method.as_ptr(), Some(destroy::<F>));
            Some(Self { method, kind, filter: PhantomData })
        }
    }

    /// Puts a filter in front of what an SSL reads from, unless one of this kind is there.
    pub(crate) fn insert(&self, ssl: Ssl<'_>, filter: &Rc<F>) {
        // SAFETY: the SSL is valid. It gives up its reference to the source for one to the filter:
        // the filter's reference to the source is one more.
        unsafe {
            let Some(source) = NonNull::new(SSL_get_rbio(ssl.as_ptr())) else { return };
            if BIO_method_type(source.as_ptr()) == self.kind {
                return;
            }
            let Some(bio) = NonNull::new(BIO_new(self.method.as_ptr())) else { return };
            BIO_set_data(bio.as_ptr(), Rc::into_raw(Rc::clone(filter)).cast_mut().cast());
            BIO_up_ref(source.as_ptr());
            BIO_push(bio.as_ptr(), source.as_ptr());
            SSL_set0_rbio(ssl.as_ptr(), bio.as_ptr());
        }
    }

    /// Takes the filter away again, if it is there.
    ///
    /// Not to be called while OpenSSL reads through the filter.
    pub(crate) fn remove(&self, ssl: Ssl<'_>) {
        // SAFETY: the SSL is valid; a BIO of this kind was made by insert(). The filter's reference
        // to the source becomes the SSL's: since OpenSSL 3.2 the record layer frees a BIO without
        // those behind it.
        unsafe {
            let Some(bio) = NonNull::new(SSL_get_rbio(ssl.as_ptr())) else { return };
            if BIO_method_type(bio.as_ptr()) == self.kind {
                SSL_set0_rbio(ssl.as_ptr(), BIO_pop(bio.as_ptr()));
            }
        }
    }
}

/// BIO_read(3).
unsafe extern "C" fn read<F: Filter>(bio: *mut BIO, out: *mut c_char, len: c_int) -> c_int {
    // SAFETY: OpenSSL passes a BIO of ours, in front of its source, and room for `len` bytes.
    unsafe {
        let Some(source) = NonNull::new(BIO_next(bio)) else { return 0 };
        BIO_clear_flags(bio, (BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY) as c_int);
        // It was set on insertion, and is there as long as the BIO.
        let filter = &*BIO_get_data(bio).cast::<F>();
        let len_of_room = usize::try_from(len).unwrap_or(0);
        let room = Room { start: out.cast(), len: len_of_room, lifetime: PhantomData };
        match filter.read(Source(source, PhantomData), room) {
            Given::Held(count) => count as c_int,
            Given::Source => {
                let read = BIO_read(source.as_ptr(), out.cast(), len);
                BIO_copy_next_retry(bio);
                read
            }
            Given::Nothing => {
                BIO_set_flags(bio, (BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY) as c_int);
                -1
            }
            Given::End(read) => read,
        }
    }
}

/// BIO_ctrl(3): all is answered by the source.
unsafe extern "C" fn ctrl(
    bio: *mut BIO,
    command: c_int,
    value: c_long,
    data: *mut c_void,
) -> c_long {
    // The kernel knows nothing of the bytes that a filter holds.
    if command == BIO_CTRL_SET_KTLS {
        return 0;
    }
    // SAFETY: the arguments are OpenSSL's own; BIO_ctrl() takes a null pointer.
    unsafe { BIO_ctrl(BIO_next(bio), command, value, data) }
}

/// BIO_free(3).
unsafe extern "C" fn destroy<F: Filter>(bio: *mut BIO) -> c_int {
    // SAFETY: OpenSSL passes a BIO of ours, which it does not use any more.
    unsafe {
        if let Some(filter) = NonNull::new(BIO_get_data(bio).cast::<F>()) {
            drop(Rc::from_raw(filter.as_ptr()));
        }
    }
    1
}
