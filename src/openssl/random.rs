//! Random bytes, drawn from OpenSSL many at a time.

use core::cell::RefCell;

use libc::pid_t;
use nginx_sys::RAND_bytes;

/// Fills a buffer from OpenSSL's random generator (RAND_bytes(3)); false where that failed.
pub(crate) fn randomise(buffer: &mut [u8]) -> bool {
    // SAFETY: the buffer has room for as many bytes as are told; all are far below an int's range.
    unsafe { RAND_bytes(buffer.as_mut_ptr(), buffer.len() as i32) == 1 }
}

/// Random bytes for what others get to see: seeds of session ids, and nonces.
///
/// In OpenSSL 3 each call of RAND_bytes(3) takes 6,700 instructions and a getpid(2), however few
/// bytes it is for. So there are some in stock, which must not be secret.
pub(crate) struct Random(RefCell<Stock>);

struct Stock {
    bytes: [u8; Stock::LEN],
    /// So many at the front have been drawn.
    drawn: usize,
    /// Whose they are: two processes must never draw the same.
    process: pid_t,
}

impl Random {
    /// Nothing is in stock at first.
    pub(crate) fn new() -> Self {
        Self(RefCell::new(Stock { bytes: [0; Stock::LEN], drawn: Stock::LEN, process: 0 }))
    }

    /// So many bytes, never drawn before, for the process that this is; `None` where OpenSSL has
    /// none.
    pub(crate) fn draw<const N: usize>(&self, process: pid_t) -> Option<[u8; N]> {
        // What replenishes it does not come back here.
        let mut stock = self.0.borrow_mut();
        if stock.bytes.len() - stock.drawn < N || stock.process != process {
            stock.replenish(process)?;
        }
        let bytes = *stock.bytes[stock.drawn..].first_chunk()?;
        stock.drawn += N;
        Some(bytes)
    }
}

impl Stock {
    /// For 28 sessions, with a seed and a nonce each.
    const LEN: usize = 768;

    fn replenish(&mut self, process: pid_t) -> Option<()> {
        self.drawn = Self::LEN;
        randomise(&mut self.bytes).then_some(())?;
        self.drawn = 0;
        self.process = process;
        Some(())
    }
}
