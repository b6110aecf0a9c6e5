//! What is found out over a connection of its own, whoever has that.

use crate::time::Instant;

/// A talk with a server, after which the connection is of no more use.
pub trait Talk {
    /// What is to be found out.
    type Found;
    /// Why it cannot be.
    type Failure;

    /// When it is too late.
    fn deadline(&self) -> Instant;

    /// What to write to the connection, once there is one.
    fn unsent(&self) -> &[u8];

    /// The first `count` bytes of [`unsent`](Self::unsent) were written.
    fn sent(&mut self, count: usize);

    /// Where to read into; never empty until something or nothing is found out.
    fn spare(&mut self) -> &mut [u8];

    /// The first `count` bytes of [`spare`](Self::spare) were read; returns what is found out, once it
    /// is.
    fn received(
        &mut self,
        count: usize,
        now: Instant,
    ) -> Result<Option<Self::Found>, Self::Failure>;
}
