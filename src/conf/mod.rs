//! The directives `remote_ssl_session_cache` and `remote_ssl_session_tickets`: read, inherited, and kept
//! with what they name; and the block `remote_ssl_session_store`, which the first may name.

use core::cell::Cell;
use core::ffi::{c_char, c_void};
use core::slice;
use std::rc::Rc;

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_str_t, NGX_LOG_EMERG, NGX_LOG_WARN};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::plan::{
    Directive, DirectivePlan, PlanError, SessionsPlan, StoreSource, TicketsDirective, TicketsPlan,
};

use crate::nginx::{NAME, TICKETS_NAME};
use crate::store::{Settings, Shape};

use self::error::ConfError;

pub(crate) use self::block::COMMANDS;
pub(crate) use self::cycle::{create, CycleConf, DefaultCache};
pub(crate) use self::destination::{Destination, Reported};
pub(crate) use self::line::Line;

mod block;
mod cycle;
mod destination;
mod error;
mod file;
mod key_file;
mod line;
mod store;
mod tls;

/// What is kept for a block and for each server in it.
#[derive(Default)]
pub(crate) struct ServerConf {
    /// What is said there of the cache.
    cache: Option<Said<Directive<'static>>>,
    /// What is said there of the fleet's ticket keys.
    ticket_keys: Option<Said<TicketsDirective>>,
    /// What that comes to with what is said around it, of a server whose cache is on.
    destination: Option<Destination>,
    /// The same of the ticket keys.
    tickets: Option<TicketsPlan>,
    /// What is said of nginx's own tickets.
    pub(crate) nginx_tickets: Cell<NginxTickets>,
}

/// A directive of one level of the configuration.
struct Said<T> {
    words: T,
    line: Line,
}

/// What the configuration itself says of nginx's own stateless session tickets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum NginxTickets {
    #[default]
    Unsaid,
    /// `ssl_session_tickets off`.
    Off,
    /// `ssl_session_tickets on`.
    On,
    /// `ssl_session_ticket_key`.
    Keys,
}

impl ServerConf {
    /// Where the server's sessions go, if the cache is on for it.
    pub(crate) fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// How the fleet's ticket keys change, if the server's tickets are sealed with them.
    pub(crate) fn tickets(&self) -> Option<TicketsPlan> {
        self.tickets
    }

    /// Where the cache is switched on for the server itself.
    pub(crate) fn cache_line(&self) -> Option<Line> {
        self.cache.as_ref().filter(|said| said.words.is_on()).map(|said| said.line)
    }

    /// The same of ticket keys.
    pub(crate) fn tickets_line(&self) -> Option<Line> {
        self.ticket_keys.as_ref().filter(|said| said.words.plan().is_some()).map(|said| said.line)
    }

    /// Has a server say what is said around it, where it says nothing itself, and makes what that comes to.
    pub(crate) fn inherit(&mut self, cf: &mut ngx_conf_t, outer: &Self) -> Result<(), Reported> {
        if let Some((Said { words, line }, around)) = innermost(&self.cache, &outer.cache) {
            let made = |cf: &mut ngx_conf_t| {
                let plan = match around {
                    Some(around) => words.inherit(&around.words)?.plan()?,
                    None => words.plan()?,
                };
                plan.map(|plan| destination(cf, plan, *line)).transpose()
            };
            self.destination = line.while_at(cf, |cf| {
                made(cf).map_err(|error| {
                    refuse(cf, NAME, &error);
                    Reported
                })
            })?;
        }
        self.tickets =
            innermost(&self.ticket_keys, &outer.ticket_keys).and_then(|(said, around)| {
                around.map_or(said.words, |around| said.words.inherit(around.words)).plan()
            });
        Ok(())
    }
}

/// The directive that counts, and the one of the level above it, if both have one.
fn innermost<'a, T>(
    said: &'a Option<Said<T>>,
    outer: &'a Option<Said<T>>,
) -> Option<(&'a Said<T>, Option<&'a Said<T>>)> {
    match (said, outer) {
        (Some(said), outer) => Some((said, outer.as_ref())),
        (None, outer) => Some((outer.as_ref()?, None)),
    }
}

/// Reads the directive of the cache, for http{}, stream{} and mail{} alike.
pub(crate) unsafe extern "C" fn set_cache(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls this with its configuration context and with what is kept for the block, which
    // goes with the configuration, as the words do.
    unsafe { set(&mut *cf, NAME, &mut (*conf.cast::<ServerConf>()).cache, Directive::parse) }
}

/// Reads the directive of ticket keys, as [`set_cache`].
pub(crate) unsafe extern "C" fn set_tickets(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as in set_cache().
    unsafe {
        let place = &mut (*conf.cast::<ServerConf>()).ticket_keys;
        set(&mut *cf, TICKETS_NAME, place, TicketsDirective::parse)
    }
}

/// Keeps what the words of a directive say.
///
/// # Safety
///
/// The words may be used only as long as the configuration is there.
unsafe fn set<T>(
    cf: &mut ngx_conf_t,
    directive: &str,
    place: &mut Option<Said<T>>,
    parse: impl FnOnce(Vec<&'static [u8]>) -> Result<T, PlanError>,
) -> *mut c_char {
    if place.is_some() {
        return c"is duplicate".as_ptr().cast_mut();
    }
    // SAFETY: as the caller promises.
    let words = unsafe { words(cf) };
    match parse(words[1..].to_vec()) {
        Ok(words) => {
            *place = Some(Said { words, line: Line::of(cf) });
            NGX_CONF_OK
        }
        Err(error) => refuse(cf, directive, &error.into()),
    }
}

/// The words of a directive, its name first.
///
/// # Safety
///
/// The words may be used only as long as the pool of the configuration is there.
unsafe fn words<'a>(cf: &ngx_conf_t) -> Vec<&'a [u8]> {
    // SAFETY: nginx keeps the words of a directive as an array of ngx_str_t, and their bytes in the pool.
    unsafe {
        let words = (*cf.args).as_slice::<ngx_str_t>();
        words.iter().map(|word| slice::from_raw_parts(word.data, word.len)).collect()
    }
}

fn refuse(cf: &mut ngx_conf_t, directive: &str, error: &ConfError) -> *mut c_char {
    ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"{directive}\" directive: {error}");
    NGX_CONF_ERROR
}

/// What the directives of all levels come to. Equal ones are made once.
fn destination(
    cf: &mut ngx_conf_t,
    plan: DirectivePlan<'static>,
    line: Line,
) -> Result<Destination, ConfError> {
    let conf = CycleConf::being_read(cf);
    if let Some(made) = conf.made(&plan) {
        return Ok(made);
    }
    let DirectivePlan { store, sessions } = &plan;
    let (sealer, key_time) = store::sealer(cf, sessions)?.unzip();
    let store = match store {
        StoreSource::Said(plan) => conf.store(store::settings(cf, NAME, None, plan)?, line),
        StoreSource::Named(name) => conf.defined("store", name)?,
    };
    check_sessions(cf, store.settings(), sessions)?;
    let destination = Destination {
        store,
        suspension: store::suspension(sessions),
        single_use: sessions.single_use,
        keyspace: sessions.keyspace.clone(),
        sealer: sealer.map(Rc::new),
        key_time,
        line,
    };
    conf.add_made(plan, destination.clone());
    Ok(destination)
}

/// Whether what is said of sessions goes with their store.
fn check_sessions(
    cf: &mut ngx_conf_t,
    store: &Settings,
    sessions: &SessionsPlan<'_>,
) -> Result<(), PlanError> {
    if store.site.is_some() && sessions.keys.is_empty() {
        let expected =
            "one with a store that has \"site\": ids that are made with it tell the site";
        return Err(PlanError::Missing { name: "key", expected });
    }
    if store.shape == Shape::Cluster && sessions.keyspace.prefix().contains(&b'{') {
        ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "\"{NAME}\" directive: with a brace in \"prefix\", all keys that have the same hash tag lie \
             on one node of the cluster"
        );
    }
    Ok(())
}
