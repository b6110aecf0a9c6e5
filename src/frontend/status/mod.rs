//! The status page.

mod page;

pub(crate) use self::page::COMMAND;
