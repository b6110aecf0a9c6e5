//! Where sessions enter and leave a handshake.
//!
//! OpenSSL's session callbacks (`callbacks`) are set on the SSL_CTX of a server, in front of those
//! that nginx set for `ssl_session_cache shared:`. What a handshake looks up and waits for is the
//! business of one object (`first`), and how it waits of another (`suspend`). They queue requests,
//! or write them at once where a client may be back soon, and look at results; all else is left to
//! the event loop.
//!
//! Where the fleet shares ticket keys (see `tickets`), clients that take stateless tickets have their
//! sessions in these, and none of them is looked up.

use std::rc::Rc;

use nginx_sys::ngx_cycle_t;
use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::session::Keyspace;

use crate::openssl::{Sealer, Ssl, SslCtx};
use crate::store::StoreConf;
use crate::tickets::Tickets;

use self::callbacks::Doorway;
use self::first::First;
use self::records::Records;
use self::suspend::Missing;

pub(crate) use self::cache::{SessionCache, Sockets, Wanted};
pub(crate) use self::first::Report;
pub(crate) use self::lookup::{answered, claim_answered, is_awaited};
pub(crate) use self::suspend::Suspension;

mod cache;
mod callbacks;
mod claim;
mod first;
mod lookup;
mod notes;
mod records;
mod suspend;

impl SessionCache {
    /// Puts a cache into an SSL_CTX, and itself into its handshakes; `None` where there is one
    /// already, or no memory.
    pub(crate) fn attach(
        ctx: SslCtx,
        store_conf: Rc<StoreConf>,
        keyspace: Keyspace,
        sealer: Option<Rc<Sealer>>,
        tickets: Option<Tickets>,
        wanted: Wanted,
        sockets: Sockets,
    ) -> Option<Rc<Self>> {
        let records = Records::new(keyspace, sealer, store_conf.settings().site.unwrap_or(0));
        let (mints_ids, seals_tickets) = (records.are_sealed(), tickets.is_some());
        let judges_early_data = wanted.single_use != SingleUse::Off;
        let cache = Self::put_into(ctx, store_conf, records, tickets, wanted, sockets)?;
        callbacks::set(ctx, mints_ids, seals_tickets, judges_early_data);
        ctx.cache_externally();
        Some(cache)
    }

    /// Prepares for handshakes, once all of the configuration has been read; an error where they will
    /// look up nothing.
    pub(crate) fn prepare(&self, cycle: &ngx_cycle_t) -> Result<(), Missing> {
        self.fit(cycle);
        match self.choice() {
            Some(choice) => choice.way.prepare::<Doorway>(self.ctx()),
            None => Ok(()),
        }
    }
}

/// What became of the handshake of a connection; `None` where there was none of ours.
pub(crate) fn report(ssl: Ssl<'_>) -> Option<Report> {
    First::of(ssl).map(|first| first.report())
}
