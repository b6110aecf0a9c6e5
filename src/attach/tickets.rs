//! The fleet's ticket keys, put into the SSL_CTXs of the servers that ask for them.

use core::ptr;
use std::rc::Rc;

use nginx_sys::ngx_cycle_t;
use ssl_session_cache_core::plan::TicketsPlan;
use ssl_session_cache_core::ticket::{Ring, Rotation, RotationError};

use crate::attach::servers::{Server, Servers};
use crate::conf::{CycleConf, Destination, NginxTickets, Reported};
use crate::nginx::{log, NAME, TICKETS_NAME};
use crate::openssl::{Sealer, SslCtx};
use crate::tickets::Tickets;

/// The ticket keys that a server asks for.
pub(super) struct Wanted<'a> {
    destination: &'a Destination,
    sealer: &'a Rc<Sealer>,
    rotation: Rotation,
}

/// The ticket keys that a server asks for, if it does and has clients with TLS: with `ssl_certificate`
/// around it, one without has an SSL_CTX as well.
pub(super) fn wanted<'a>(
    cycle: &ngx_cycle_t,
    server: &'a Server,
    servers: &Servers,
) -> Result<Option<Wanted<'a>>, Reported> {
    let is_on = |listener| servers.of(listener).any(|other| ptr::eq(other, server));
    let directive = server.conf.tickets().filter(|_| servers.listeners.iter().any(is_on));
    let Some(directive) = directive else { return Ok(None) };
    let refuse = |reason: &str| {
        log!(NGX_LOG_EMERG, cycle.log, "\"{TICKETS_NAME}\" cannot be on for {server}: {reason}");
        Reported
    };
    let Some((destination, sealer)) = server
        .conf
        .destination()
        .and_then(|destination| Some((destination, destination.sealer.as_ref()?)))
    else {
        return Err(refuse(&format!(
            "expected \"{NAME}\" with \"key=\" there, with which the keys are sealed, and in whose store they \
             are kept; or \"{TICKETS_NAME} off\""
        )));
    };
    match server.conf.nginx_tickets.get() {
        NginxTickets::Off => {
            return Err(refuse("\"ssl_session_tickets off\" there says that there are no tickets"))
        }
        NginxTickets::Keys => {
            return Err(refuse(
                "expected no \"ssl_session_ticket_key\" next to it: tickets are sealed with the \
                 keys of one of the two",
            ))
        }
        NginxTickets::On | NginxTickets::Unsaid => {}
    }
    if !server.ctx.is_some_and(|ctx| ctx.abilities().stateless_tickets) {
        return Err(refuse("\"ssl_conf_command\" there says that there are no tickets"));
    }
    let timeout = server.tls.session_timeout;
    let rotation = Rotation::new(directive.rotate(timeout), timeout).map_err(|error| {
        let RotationError::TooShort(least) = error;
        let (timeout, longest) = (timeout.as_secs(), TicketsPlan::LONGEST.as_secs());
        refuse(&if least > longest {
            format!(
                "expected \"ssl_session_timeout\" of at most {} seconds there, it is {timeout}: too many \
                 keys would have to be kept",
                timeout / least * longest
            )
        } else {
            format!(
                "expected \"rotate\" of at least {least} seconds where \"ssl_session_timeout\" is \
                 {timeout}: too many keys would have to be kept"
            )
        })
    })?;
    Ok(Some(Wanted { destination, sealer, rotation }))
}

impl Wanted<'_> {
    /// The ticket keys as an SSL_CTX has them; `None` where it cannot have any, which is told.
    pub(super) fn put_into(
        &self,
        ctx: SslCtx,
        cycle: &ngx_cycle_t,
        server: &Server,
    ) -> Result<Option<Tickets>, Reported> {
        let Self { destination: Destination { store, keyspace, .. }, sealer, rotation } = self;
        let conf = CycleConf::of(cycle).tickets(store, keyspace, sealer, *rotation);
        let Some(conf) = conf else {
            log!(NGX_LOG_EMERG, cycle.log, "OpenSSL has no HMAC or no memory");
            return Err(Reported);
        };
        let tickets = Tickets::new(conf, ctx);
        if tickets.is_none() {
            ctx.disable_tickets();
            log!(
                NGX_LOG_WARN,
                cycle.log,
                "\"{TICKETS_NAME}\" is ignored for {server}: OpenSSL cannot begin a \
                 handshake there"
            );
        }
        Ok(tickets)
    }
}

/// Whether the seeds of all ticket keys have room in the memory that workers share.
pub(super) fn check_room(cycle: &ngx_cycle_t, conf: &CycleConf) -> Result<(), Reported> {
    let seeds: usize = conf.all_tickets().iter().map(|tickets| tickets.seeds()).sum();
    // Twice as many may be there: others that the store has told, and those of before a reload.
    if seeds <= Ring::SEEDS / 2 {
        return Ok(());
    }
    log!(
        NGX_LOG_EMERG,
        cycle.log,
        "\"{TICKETS_NAME}\" needs room for {seeds} seeds of keys, of which there can be {}: expected \
         longer \"rotate\", shorter \"ssl_session_timeout\", or fewer different key files, stores and \
         prefixes",
        Ring::SEEDS / 2
    );
    Err(Reported)
}
