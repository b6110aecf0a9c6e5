//! Data of ours that OpenSSL keeps with its objects, and frees with them
//! (CRYPTO_get_ex_new_index(3)).

use core::cell::Cell;
use core::ffi::{c_int, c_long, c_void};
use core::marker::PhantomData;
use core::mem;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::OnceLock;

use nginx_sys::{
    CRYPTO_EX_dup, CRYPTO_get_ex_new_index, SSL_CTX_get_ex_data, SSL_CTX_set_ex_data,
    SSL_SESSION_get_ex_data, SSL_SESSION_set_ex_data, SSL_get_ex_data, SSL_set_ex_data,
    CRYPTO_EX_DATA, CRYPTO_EX_INDEX_SSL, CRYPTO_EX_INDEX_SSL_CTX, CRYPTO_EX_INDEX_SSL_SESSION, SSL,
    SSL_CTX, SSL_SESSION,
};

use crate::openssl::{SessionRef, Ssl, SslCtx};

/// A place for data in every object of one class of OpenSSL's.
pub(crate) struct Slot<O, T> {
    /// Made with the first use.
    index: OnceLock<c_int>,
    holds: PhantomData<fn(O) -> T>,
}

/// What a slot holds.
pub(crate) trait Data: Sized + 'static {
    /// What the slot of a copy holds, where OpenSSL copies the object.
    fn copied(self: &Rc<Self>) -> Option<Rc<Self>> {
        None
    }

    /// OpenSSL frees the object. Since OpenSSL 3.2 parts of an SSL are freed before: what is called
    /// by that, when its session is dropped or its BIO freed, may not use the SSL.
    fn object_goes(&self) {}
}

impl<O: Object, T: Data> Slot<O, T> {
    pub(crate) const fn new() -> Self {
        Self { index: OnceLock::new(), holds: PhantomData }
    }

    /// What the slot of an object holds.
    pub(crate) fn get(&self, of: impl Handle<Object = O>) -> Option<Rc<T>> {
        let data = self.pointer(&of)?.as_ptr();
        // SAFETY: it was a reference before set() gave it up to the slot, which keeps it. Objects
        // are used on the thread that they were made on: their handles cannot leave it.
        unsafe {
            Rc::increment_strong_count(data);
            Some(Rc::from_raw(data))
        }
    }

    /// Puts data into the slot of an object, in place of what it holds; false without memory.
    pub(crate) fn set(&self, of: impl Handle<Object = O>, data: Rc<T>) -> bool {
        let earlier = self.pointer(&of);
        let data = Rc::into_raw(data).cast_mut();
        // SAFETY: the object is valid, and the slot holds what its functions expect: a reference,
        // which it has given up where there is another one now.
        unsafe {
            let is_set = O::set(of.object(), self.index(), data.cast()) != 0;
            let unused = if is_set { earlier } else { NonNull::new(data) };
            drop(unused.map(|data| Rc::from_raw(data.as_ptr())));
            is_set
        }
    }

    /// Empties the slot of an object.
    pub(crate) fn clear(&self, of: impl Handle<Object = O>) {
        let Some(earlier) = self.pointer(&of) else { return };
        // SAFETY: the object is valid. What the slot held is a reference, which it has given up once it
        // is empty.
        unsafe {
            if O::set(of.object(), self.index(), ptr::null_mut()) != 0 {
                drop(Rc::from_raw(earlier.as_ptr()));
            }
        }
    }

    fn pointer(&self, of: &impl Handle<Object = O>) -> Option<NonNull<T>> {
        // SAFETY: the object is valid.
        NonNull::new(unsafe { O::get(of.object(), self.index()) }.cast())
    }

    fn index(&self) -> c_int {
        // The functions stay where they are: the module is linked with `-z nodelete`, as OpenSSL
        // keeps their addresses for the life of the process, beyond a reload that drops the module.
        // SAFETY: as above. The types of `dup` differ in how the headers of OpenSSL 1.1.1 and 3
        // declare the third argument, a pointer to the data.
        *self.index.get_or_init(|| unsafe {
            let dup = mem::transmute::<Dup, CRYPTO_EX_dup>(dup::<T>);
            CRYPTO_get_ex_new_index(O::CLASS, 0, ptr::null_mut(), None, dup, Some(free::<T>))
        })
    }
}

/// Data of an SSL that knows which one, for as long as that lives. It may itself live longer.
pub(crate) struct Bound<T> {
    ssl: Cell<Option<NonNull<SSL>>>,
    data: T,
}

impl<T: 'static> Slot<SSL, Bound<T>> {
    /// Puts data into the slot of an SSL; `None` without memory.
    pub(crate) fn bind(&self, ssl: Ssl<'_>, data: T) -> Option<Rc<Bound<T>>> {
        let bound = Rc::new(Bound { ssl: Cell::new(NonNull::new(ssl.as_ptr())), data });
        self.set(ssl, Rc::clone(&bound)).then_some(bound)
    }
}

impl<T> Bound<T> {
    /// Uses the SSL; `None` where it is gone. Not to be used for what makes nginx close connections:
    /// nothing of this module's that takes an SSL does.
    pub(crate) fn with_ssl<R>(&self, with: impl FnOnce(Ssl<'_>) -> R) -> Option<R> {
        // SAFETY: the SSL is valid: object_goes() clears this when it is freed, and nothing that is
        // called in SSL_free(3) before that comes here.
        unsafe { Ssl::from_ptr(self.ssl.get()?.as_ptr()) }.map(with)
    }
}

impl<T: 'static> Data for Bound<T> {
    fn object_goes(&self) {
        self.ssl.set(None);
    }
}

impl<T> Deref for Bound<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

/// A class of OpenSSL's objects, as it names them.
pub(crate) trait Object {
    const CLASS: c_int;

    /// # Safety
    ///
    /// The object must be valid.
    unsafe fn get(object: *const Self, index: c_int) -> *mut c_void;

    /// Zero without memory.
    ///
    /// # Safety
    ///
    /// The object must be valid, and the data what the functions of the index expect.
    unsafe fn set(object: *mut Self, index: c_int, data: *mut c_void) -> c_int;
}

/// What stands for an object of OpenSSL's as long as it is valid.
pub(crate) trait Handle {
    type Object: Object;

    fn object(&self) -> *mut Self::Object;
}

macro_rules! object {
    ($object:ty, $handle:ty, $class:ident, $get:ident, $set:ident) => {
        impl Object for $object {
            const CLASS: c_int = $class as c_int;

            unsafe fn get(object: *const Self, index: c_int) -> *mut c_void {
                // SAFETY: as the caller promises.
                unsafe { $get(object, index) }
            }

            unsafe fn set(object: *mut Self, index: c_int, data: *mut c_void) -> c_int {
                // SAFETY: as the caller promises.
                unsafe { $set(object, index, data) }
            }
        }

        impl Handle for $handle {
            type Object = $object;

            fn object(&self) -> *mut $object {
                self.as_ptr()
            }
        }
    };
}

object!(SSL_CTX, SslCtx, CRYPTO_EX_INDEX_SSL_CTX, SSL_CTX_get_ex_data, SSL_CTX_set_ex_data);
object!(SSL, Ssl<'_>, CRYPTO_EX_INDEX_SSL, SSL_get_ex_data, SSL_set_ex_data);
object!(
    SSL_SESSION,
    SessionRef<'_>,
    CRYPTO_EX_INDEX_SSL_SESSION,
    SSL_SESSION_get_ex_data,
    SSL_SESSION_set_ex_data
);

type Dup = unsafe extern "C" fn(
    *mut CRYPTO_EX_DATA,
    *const CRYPTO_EX_DATA,
    *mut *mut c_void,
    c_int,
    c_long,
    *mut c_void,
) -> c_int;

/// OpenSSL copies an object, with the pointers that it holds: a session, for the next ticket.
unsafe extern "C" fn dup<T: Data>(
    _to: *mut CRYPTO_EX_DATA,
    _from: *const CRYPTO_EX_DATA,
    data: *mut *mut c_void,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a place with what the slot holds, where the copy's is to be put. The
    // object keeps its reference.
    unsafe {
        let kept = NonNull::new((*data).cast::<T>());
        let kept = kept.map(|kept| mem::ManuallyDrop::new(Rc::from_raw(kept.as_ptr())));
        let copied = kept.and_then(|kept| kept.copied());
        *data = copied.map_or(ptr::null_mut(), |copied| Rc::into_raw(copied).cast_mut().cast());
    }
    1
}

unsafe extern "C" fn free<T: Data>(
    _object: *mut c_void,
    data: *mut c_void,
    _ex_data: *mut CRYPTO_EX_DATA,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) {
    if let Some(data) = NonNull::new(data.cast::<T>()) {
        // SAFETY: what else the slot holds is a reference that set() or dup() gave up.
        let data = unsafe { Rc::from_raw(data.as_ptr()) };
        data.object_goes();
    }
}
