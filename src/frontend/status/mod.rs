//! The status page.

mod html;
mod page;

pub(crate) use self::page::COMMAND;
