//! A log for nginx's own messages about a connection, which writes none of them.

use core::cell::{RefCell, UnsafeCell};
use core::{mem, slice};
use std::rc::Rc;

use nginx_sys::{ngx_log_t, ngx_uint_t, NGX_LOG_DEBUG, NGX_LOG_DEBUG_ALL, NGX_LOG_INFO};

use crate::nginx::Log;

/// A log that keeps the last message.
///
/// nginx would write a line for each attempt to connect; whoever attempts tells of a change, once,
/// and here is the reason.
pub(crate) struct QuietLog {
    log: UnsafeCell<ngx_log_t>,
    message: RefCell<String>,
}

impl QuietLog {
    /// A log which has nginx's, where that is one for debugging, written to as ever. nginx keeps its
    /// address.
    pub(crate) fn new(nginx: Log) -> Rc<Self> {
        // SAFETY: nginx itself starts logs from all-zero.
        let log = UnsafeCell::new(unsafe { mem::zeroed::<ngx_log_t>() });
        let quiet = Rc::new(Self { log, message: RefCell::default() });
        // SAFETY: the log is this value's own, which does not move, and nginx's is valid.
        unsafe {
            let (log, nginx) = (quiet.as_ptr(), nginx.as_ptr());
            (*log).log_level = (*nginx).log_level.max(NGX_LOG_INFO as usize);
            (*log).writer = Some(keep);
            (*log).wdata = Rc::as_ptr(&quiet).cast_mut().cast();
            if (*nginx).log_level & NGX_LOG_DEBUG_ALL as usize != 0 {
                (*log).next = nginx;
            }
        }
        quiet
    }

    pub(super) fn as_ptr(&self) -> *mut ngx_log_t {
        self.log.get()
    }

    /// The last message since this was asked.
    pub(crate) fn take(&self) -> Option<String> {
        Some(self.message.take()).filter(|message| !message.is_empty())
    }
}

/// Keeps a message, without what nginx puts before it: time, level and process.
unsafe extern "C" fn keep(log: *mut ngx_log_t, level: ngx_uint_t, text: *mut u8, len: usize) {
    if level >= NGX_LOG_DEBUG as usize {
        return;
    }
    // SAFETY: new() has set the data; the text has so many bytes.
    let (quiet, text) =
        unsafe { (&*(*log).wdata.cast::<QuietLog>(), slice::from_raw_parts(text, len)) };
    let text = String::from_utf8_lossy(text);
    let message = text.split_once('#').and_then(|(_, rest)| rest.split_once(": "));
    *quiet.message.borrow_mut() = message.map_or(&*text, |(_, message)| message).trim().to_owned();
}
