//! The status page.

mod json;
mod page;
mod prometheus;

pub(crate) use self::page::COMMAND;
