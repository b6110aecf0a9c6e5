//! The bytes of a connection, on their way out and in.

use crate::protocol::MAX_RECORD;

/// Bytes on their way out.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    /// How many at the front of `bytes` are sent.
    start: usize,
    /// How many were sent over this connection in all.
    sent: u64,
}

impl Outgoing {
    /// What is kept of the memory that a burst took.
    const KEPT: usize = 64 * 1024;

    /// Where to append.
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The position in the connection's stream up to which everything is sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// The position in the connection's stream up to which everything is appended.
    pub(crate) fn end(&self) -> u64 {
        self.sent + self.unsent().len() as u64
    }

    /// The first `count` bytes are sent.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(count <= self.unsent().len(), "more sent than there was to send");
        self.start += count;
        self.sent += count as u64;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(Self::KEPT);
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Bytes that have come in. Replies are taken off the front as soon as they are complete, so what
/// stays is the beginning of one.
pub(crate) struct Incoming {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Incoming {
    /// Twice a record: behind the beginning of the longest reply there is room for one more.
    const SIZE: usize = 2 * MAX_RECORD;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; Self::SIZE].into(), start: 0, end: 0 }
    }

    /// Where to read into.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// The first `count` bytes of what `spare` returned are filled.
    pub(crate) fn filled(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "more received than there was room for");
        self.end += count;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
    }

    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}
