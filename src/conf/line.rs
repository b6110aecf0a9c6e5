//! Where a directive stands in the configuration.

use core::fmt;
use core::ptr;

use nginx_sys::{ngx_conf_t, ngx_str_t};

use crate::nginx::place;

/// A line of a file.
#[derive(Clone, Copy)]
pub(crate) struct Line {
    /// Its name lies in the pool of the configuration.
    file: ngx_str_t,
    line: usize,
}

impl Line {
    /// The one that nginx reads now.
    pub(super) fn of(cf: &ngx_conf_t) -> Self {
        // SAFETY: nginx reads words from a file, or from its command line, which has neither name nor line.
        unsafe { Self { file: (*cf.conf_file).file.name, line: (*cf.conf_file).line } }
    }

    /// Does what messages of nginx's are to name this line for: once all of a block has been read, they
    /// would name its end.
    pub(super) fn while_at<T>(
        self,
        cf: &mut ngx_conf_t,
        work: impl FnOnce(&mut ngx_conf_t) -> T,
    ) -> T {
        // SAFETY: nginx has a file, or its command line, open while it merges what it has read.
        let mut file = unsafe { ptr::read(cf.conf_file) };
        (file.file.name, file.line) = (self.file, self.line);
        let outer = cf.conf_file;
        cf.conf_file = &mut file;
        let result = work(cf);
        cf.conf_file = outer;
        result
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.data.is_null() {
            return f.write_str("the command line");
        }
        // SAFETY: nginx keeps the name of a file as a C string.
        f.write_str(&unsafe { place(self.file.data, self.line) })
    }
}
