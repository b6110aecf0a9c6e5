//! Stateless session tickets beside the cache.
//!
//! A client that holds a stateless ticket never asks a session cache: nginx's default, tickets on,
//! would leave the cache without TLS 1.3 clients and most TLS 1.2 clients. So tickets are switched
//! off where the cache is on, unless the configuration itself asks for them, or has them sealed with
//! the fleet's keys.

use nginx_sys::{ngx_http_ssl_srv_conf_t, NGX_CONF_UNSET};
use ngx::http::HttpModuleConfExt;

use crate::conf::NginxTickets;
use crate::frontend::http::servers::ssl_module;

/// What one level of the configuration says of tickets.
#[derive(Clone, Copy)]
pub(super) struct Said {
    tickets: Option<bool>,
    key: Option<bool>,
}

impl Said {
    /// What is said here, else what is said around it.
    pub(super) fn or(self, outer: Self) -> Self {
        Self { tickets: self.tickets.or(outer.tickets), key: self.key.or(outer.key) }
    }

    /// What that comes to: a ticket key asks for tickets, unless they are off.
    pub(super) fn in_all(self) -> NginxTickets {
        match (self.tickets, self.key) {
            (Some(false), _) => NginxTickets::Off,
            (_, Some(true)) => NginxTickets::Keys,
            (Some(true), _) => NginxTickets::On,
            (None, _) => NginxTickets::Unsaid,
        }
    }
}

/// What a level says.
///
/// # Safety
///
/// The level must hold the configuration of ngx_http_ssl_module.
pub(super) unsafe fn said(level: &impl HttpModuleConfExt) -> Said {
    // SAFETY: the type is that of this module's server configuration.
    let ssl = unsafe {
        level
            .http_server_conf_unchecked::<ngx_http_ssl_srv_conf_t>(ssl_module())
            .expect("nginx has ngx_http_ssl_module")
            .as_ref()
    };
    let unset = NGX_CONF_UNSET as isize;
    Said {
        tickets: (ssl.session_tickets != unset).then_some(ssl.session_tickets != 0),
        key: (ssl.session_ticket_keys as isize != unset)
            .then_some(!ssl.session_ticket_keys.is_null()),
    }
}
