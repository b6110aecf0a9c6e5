//! Servers or sockets of which the same is told.

use core::fmt;

/// The first few of them are named.
pub(super) struct Alike<'a>(Vec<&'a str>);

/// As many as leave room for what is told of them: a line of nginx's log has 2 kB.
const MAX_NAMED: usize = 3;

impl<'a> Alike<'a> {
    /// Adds one.
    pub(super) fn push(&mut self, name: &'a str) {
        self.0.push(name);
    }
}

impl<'a> FromIterator<&'a str> for Alike<'a> {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Self {
        Self(names.into_iter().collect())
    }
}

impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (named, more) = self.0.split_at(self.0.len().min(MAX_NAMED));
        f.write_str(&named.join(", "))?;
        match more.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
