//! The ticket keys of the fleet, as this machine has them: who seals and opens the tickets of an
//! SSL_CTX (`keys`), the seeds that all workers share (`zone`), and who gets them from the store and
//! gives them to it (`keeper`). What they are is told in `core/src/ticket`.

use core::{iter, ptr};
use std::rc::Rc;

use ssl_session_cache_core::report;
use ssl_session_cache_core::session::Keyspace;
use ssl_session_cache_core::ticket::{Family, Rotation, Status};

use crate::nginx::unix_seconds;
use crate::openssl::{HmacSha256, Sealer};
use crate::store::StoreConf;

pub(crate) use self::keeper::{added, answered, is_awaited, reconnected, start, stop};
pub(crate) use self::keys::{Age, Tickets};
pub(crate) use self::zone::{add_zone, is_used};

use self::zone::Zone;

mod keeper;
mod keys;
mod log;
mod zone;

/// Ticket keys that servers share: those whose seeds lie in one store, under one prefix, sealed with
/// the same keys.
pub(crate) struct TicketsConf {
    store: Rc<StoreConf>,
    keyspace: Keyspace,
    sealer: Rc<Sealer>,
    family: Rc<Family>,
}

impl TicketsConf {
    /// `None` where OpenSSL fails, or there is no sealing key.
    pub(crate) fn new(
        store: Rc<StoreConf>,
        keyspace: Keyspace,
        sealer: Rc<Sealer>,
        rotation: Rotation,
    ) -> Option<Self> {
        let identity = store.settings().identity();
        let (prefix, sites) = (keyspace.prefix(), sites(&store));
        let family = Family::new(&sealer, &HmacSha256, &identity, prefix, &sites, rotation)?;
        Some(Self { store, keyspace, sealer, family: Rc::new(family) })
    }

    /// The store that the seeds lie in.
    pub(crate) fn store_conf(&self) -> &StoreConf {
        &self.store
    }

    /// For how many seeds there must be room.
    pub(crate) fn seeds(&self) -> usize {
        self.family.seeds()
    }

    /// The store's name, for messages.
    fn store_name(&self) -> String {
        let settings = self.store.settings();
        match &settings.name {
            Some(name) => format!("store \"{name}\""),
            None => settings.name(),
        }
    }

    /// Whether it is of these.
    pub(crate) fn is_of(
        &self,
        store: &StoreConf,
        keyspace: &Keyspace,
        sealer: &Rc<Sealer>,
        rotation: Rotation,
    ) -> bool {
        ptr::eq(&*self.store, store)
            && self.keyspace == *keyspace
            && self.sealer == *sealer
            && self.family.rotation() == rotation
    }
}

/// The sites whose tickets are opened: this machine's own, and that of the fallback. 0 is one as well.
fn sites(store: &StoreConf) -> Vec<u8> {
    let stores = iter::once(store).chain(store.fallback());
    let mut sites: Vec<u8> = stores.map(|store| store.settings().site.unwrap_or(0)).collect();
    sites.dedup();
    sites
}

/// The ticket keys of a configuration, as an operator is shown them.
pub(crate) fn statuses(confs: &[Rc<TicketsConf>]) -> Vec<report::Tickets> {
    let Some(zone) = Zone::used() else { return Vec::new() };
    let unix = unix_seconds();
    let status = |conf: &Rc<TicketsConf>| {
        let Status { origin, age, epochs, clock_behind } =
            zone.with(|ring| ring.status(&conf.family, unix));
        let store = conf.store.settings().name();
        report::Tickets { store, state: origin, key_age: age, epochs, clock_behind }
    };
    confs.iter().map(status).collect()
}
