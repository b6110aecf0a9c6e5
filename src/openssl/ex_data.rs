//! Data of ours in OpenSSL's objects (CRYPTO_get_ex_new_index(3)).

use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};

use nginx_sys::{CRYPTO_EX_dup, CRYPTO_EX_free, CRYPTO_get_ex_new_index};

/// Whether a pointer that OpenSSL keeps for us is there.
pub(crate) fn non_null<T>(pointer: *mut c_void) -> Option<NonNull<T>> {
    NonNull::new(pointer.cast())
}

/// An index for data of ours in OpenSSL's objects of one class (CRYPTO_get_ex_new_index(3)).
///
/// The functions stay where they are: the module is linked with `-z nodelete`, as OpenSSL keeps
/// their addresses for the life of the process, beyond a reload that drops the module.
pub(crate) fn new_index(class: u32, dup: CRYPTO_EX_dup, free: CRYPTO_EX_free) -> c_int {
    // SAFETY: as above.
    unsafe { CRYPTO_get_ex_new_index(class as c_int, 0, ptr::null_mut(), None, dup, free) }
}
