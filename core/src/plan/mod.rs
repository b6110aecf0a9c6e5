//! What a configuration says of a store and of the sessions there: words, read into plain values.
//!
//! Nothing here opens a file, looks up a name or knows of nginx. The words come from a directive or a
//! block of nginx's, or from whoever else has the same words: [`Directive::parse`] takes all of them,
//! a [`Block`] those of a store, line by line, and [`TicketsDirective::parse`] those of ticket keys. What is
//! right by itself is told by the table (`table`, `value`), what does not go together by `check`. A
//! directive [inherits](Directive::inherit) from the level above before its [plan](Directive::plan) is made.

mod block;
mod check;
mod directive;
mod error;
mod hint;
mod place;
mod server;
mod table;
mod tickets;
mod time;
mod types;
mod value;

pub use self::block::Block;
pub use self::directive::Directive;
pub use self::error::{text, PlanError};
pub use self::table::{Group, Known, Parameter, PARAMETERS};
pub use self::tickets::{TicketsDirective, TicketsPlan};
pub use self::types::{
    Auth, AuthFile, DirectivePlan, Kind, Peer, Place, SessionsPlan, Shape, SingleUse, StorePlan,
    StoreSource, Suspend, TlsPlan,
};
pub use self::value::UNIX_PATH;
