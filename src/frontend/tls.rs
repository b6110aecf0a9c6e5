//! What nginx's own directives say of TLS for a server.
//!
//! The TLS modules of http{}, stream{} and mail{} each keep it in a structure of their own
//! (ngx_http_ssl_module.h, ngx_stream_ssl_module.h, ngx_mail_ssl_module.h), with the same fields.

use core::time::Duration;

use nginx_sys::{
    ngx_array_t, ngx_flag_t, ngx_keyval_t, ngx_shm_zone_t, ngx_uint_t, time_t, NGX_CONF_UNSET,
    NGX_SSL_DFLT_BUILTIN_SCACHE, NGX_SSL_NONE_SCACHE, NGX_SSL_NO_SCACHE, SSL_CTX,
};

use ngx::core::NgxStr;

use crate::attach::{NginxCache, TlsConf};
use crate::conf::NginxTickets;
use crate::openssl::SslCtx;

/// The fields that count, as nginx has them. They live as long as the configuration.
pub(crate) struct Fields {
    pub(crate) ctx: *mut SSL_CTX,
    pub(crate) builtin_session_cache: isize,
    pub(crate) session_zone: *const ngx_shm_zone_t,
    pub(crate) session_timeout: time_t,
    pub(crate) verify: ngx_uint_t,
    pub(crate) conf_commands: *const ngx_array_t,
    pub(crate) session_tickets: ngx_flag_t,
    pub(crate) session_ticket_keys: *mut ngx_array_t,
    /// Where there is `ssl_early_data`.
    pub(crate) early_data: ngx_flag_t,
    /// Where there is `ssl_ocsp`.
    pub(crate) ocsp: ngx_uint_t,
}

/// The fields that all the structures have.
macro_rules! fields {
    ($conf:expr) => {
        $crate::frontend::tls::Fields {
            ctx: $conf.ssl.ctx,
            builtin_session_cache: $conf.builtin_session_cache,
            session_zone: $conf.shm_zone,
            session_timeout: $conf.session_timeout,
            verify: $conf.verify,
            conf_commands: $conf.conf_commands,
            session_tickets: $conf.session_tickets,
            session_ticket_keys: $conf.session_ticket_keys,
            early_data: 0,
            ocsp: 0,
        }
    };
}

pub(super) use fields;

impl Fields {
    /// The SSL_CTX; `None` without TLS.
    pub(super) fn ctx(&self) -> Option<SslCtx> {
        // SAFETY: nginx keeps an SSL_CTX as long as the configuration, null where a server has no TLS.
        unsafe { SslCtx::from_ptr(self.ctx) }
    }

    /// What is said, once all is merged.
    pub(super) fn conf(&self) -> TlsConf {
        TlsConf {
            session_cache: match self.builtin_session_cache {
                off if off == NGX_SSL_NO_SCACHE as isize => NginxCache::Off,
                default if default == NGX_SSL_DFLT_BUILTIN_SCACHE as isize => NginxCache::Builtin,
                0.. => NginxCache::Builtin,
                _ => NginxCache::Other,
            },
            session_zone: self.session_zone(),
            session_timeout: Duration::from_secs(self.session_timeout.max(0) as u64),
            early_data: self.early_data == 1,
            verify: self.verify as u64,
            ocsp: self.ocsp as u64,
            // SAFETY: null, or an array of pairs, which live as long as the configuration.
            commands: unsafe {
                let commands = self.conf_commands.as_ref();
                commands.map_or(&[], |commands| commands.as_slice::<ngx_keyval_t>())
            },
        }
    }

    /// The zone that sessions are kept in: with `off` and `none` one that is inherited is not used.
    fn session_zone(&self) -> Option<&'static NgxStr> {
        let unused = [NGX_SSL_NO_SCACHE as isize, NGX_SSL_NONE_SCACHE as isize];
        if unused.contains(&self.builtin_session_cache) {
            return None;
        }
        // SAFETY: null, or a zone, which lives as long as the configuration.
        unsafe { self.session_zone.as_ref() }
            .map(|zone| NgxStr::from_bytes(zone.shm.name.as_bytes()))
    }

    /// What this level of the configuration says of tickets, before it is merged with the others: after
    /// that a default cannot be told from what was asked for.
    pub(super) fn said(&self) -> Said {
        let unset = NGX_CONF_UNSET as isize;
        Said {
            tickets: (self.session_tickets != unset).then_some(self.session_tickets != 0),
            key: (self.session_ticket_keys as isize != unset)
                .then_some(!self.session_ticket_keys.is_null()),
        }
    }
}

/// What one level of the configuration says of nginx's own stateless session tickets.
///
/// A client that holds a stateless ticket never asks a session cache: nginx's default, tickets on,
/// would leave the cache without TLS 1.3 clients and most TLS 1.2 clients. So tickets are switched
/// off where the cache is on, unless the configuration itself asks for them, or has them sealed with
/// the fleet's keys.
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
