//! The connection of a scout, beside the one that is in use.

use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server;
use ssl_session_cache_core::session::Key;

use crate::net::{Address, Peer};
use crate::nginx::now;
use crate::store::errand::Errand;
use crate::store::settings::Settings;

/// Finds out whether the server at an address could be used.
///
/// # Drop behaviour
///
/// An attempt under way is given up.
pub(super) struct Scout {
    settings: Rc<Settings>,
    errand: Errand<server::Scout>,
}

/// Who sends a scout, and is told what it has found.
pub(super) trait Sender {
    /// The attempt is over.
    fn scouted(&self, is_usable: bool);
}

impl Scout {
    pub(super) fn new(settings: Rc<Settings>, sender: Weak<dyn Sender>) -> Self {
        let errand = Errand::new(settings.tls.clone(), move |found| {
            if let Some(sender) = sender.upgrade() {
                sender.scouted(found.is_ok());
            }
        });
        Self { settings, errand }
    }

    /// Sets nginx's log.
    ///
    /// # Safety
    ///
    /// The scout may not move from now on, and the log must live as long as it.
    pub(super) unsafe fn bind(&self, log: *mut ngx_log_t) {
        // SAFETY: as the caller promises; the errand is a part of the scout.
        unsafe { self.errand.bind(log) };
    }

    /// Begins an attempt, with TLS to nobody else than `peer`: [`Sender::scouted`] is called at its
    /// end, but not before this returns.
    pub(super) fn start(&self, address: &Address, peer: Option<Peer>, key: Option<Key>) {
        let deadline = now() + self.settings.timeout;
        let scout = server::Scout::new(self.settings.protocol(), key, deadline, now());
        self.errand.start(address, peer, scout);
    }

    /// Gives the attempt up, if there is one; nobody is told.
    pub(super) fn stop(&self) {
        self.errand.stop();
    }
}
