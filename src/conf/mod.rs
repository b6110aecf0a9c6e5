//! The directives `remote_ssl_session_cache` and `remote_ssl_session_tickets`: read, inherited, and kept
//! with what they name; and the block `remote_ssl_session_store`, which the first may name.

use core::cell::Cell;
use core::ffi::{c_char, c_void};
use std::rc::Rc;

use nginx_sys::{ngx_command_t, ngx_conf_t, ngx_str_t, NGX_LOG_EMERG, NGX_LOG_WARN};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::plan::{
    Directive, PlanError, SessionsPlan, StoreSource, TicketsDirective,
};

use crate::nginx::{NAME, TICKETS_NAME};
use crate::store::{Settings, Shape};

use self::error::ConfError;

pub(crate) use self::block::COMMANDS;
pub(crate) use self::cycle::{create, CycleConf, DefaultCache};
pub(crate) use self::destination::{Destination, Reported};

mod block;
mod cycle;
mod destination;
mod error;
mod file;
mod key_file;
mod store;
mod tls;

/// What is kept for a block and for each server in it.
#[derive(Default)]
pub(crate) struct ServerConf {
    setting: Option<Setting>,
    /// What is said of the fleet's ticket keys; `Some(None)` is off.
    tickets: Option<Option<TicketsDirective>>,
    /// What is said of nginx's own tickets.
    pub(crate) nginx_tickets: Cell<NginxTickets>,
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

/// What a directive says.
#[derive(Clone)]
enum Setting {
    Off,
    On(Destination),
}

impl ServerConf {
    /// Where the server's sessions go, if the cache is on for it.
    pub(crate) fn destination(&self) -> Option<&Destination> {
        match &self.setting {
            Some(Setting::On(destination)) => Some(destination),
            Some(Setting::Off) | None => None,
        }
    }

    /// Has it say what is said around it, where it says nothing itself.
    pub(crate) fn inherit(&mut self, outer: &Self) {
        if self.setting.is_none() {
            self.setting.clone_from(&outer.setting);
        }
        self.tickets = self.tickets.or(outer.tickets);
    }

    /// How the fleet's ticket keys change, if the server's tickets are sealed with them.
    pub(crate) fn tickets(&self) -> Option<TicketsDirective> {
        self.tickets.flatten()
    }
}

/// Reads the directive of the cache, for http{}, stream{} and mail{} alike.
pub(crate) unsafe extern "C" fn set_cache(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls this with its configuration context and with what is kept for the block.
    let (cf, conf) = unsafe { (&mut *cf, &mut *conf.cast::<ServerConf>()) };
    set(cf, NAME, &mut conf.setting, setting)
}

/// Reads the directive of ticket keys, as [`set_cache`].
pub(crate) unsafe extern "C" fn set_tickets(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: as in set_cache().
    let (cf, conf) = unsafe { (&mut *cf, &mut *conf.cast::<ServerConf>()) };
    set(cf, TICKETS_NAME, &mut conf.tickets, |_, words| {
        Ok(TicketsDirective::parse(words.iter().map(ngx_str_t::as_bytes))?)
    })
}

/// Keeps what the words of a directive come to.
fn set<T>(
    cf: &mut ngx_conf_t,
    directive: &str,
    place: &mut Option<T>,
    read: impl FnOnce(&mut ngx_conf_t, &[ngx_str_t]) -> Result<T, ConfError>,
) -> *mut c_char {
    if place.is_some() {
        return c"is duplicate".as_ptr().cast_mut();
    }
    // SAFETY: nginx keeps the words of a directive as an array of ngx_str_t, the name first.
    let words = unsafe { (*cf.args).as_slice::<ngx_str_t>() };
    match read(cf, &words[1..]) {
        Ok(value) => {
            *place = Some(value);
            NGX_CONF_OK
        }
        Err(error) => refuse(cf, directive, &error),
    }
}

fn refuse(cf: &mut ngx_conf_t, directive: &str, error: &ConfError) -> *mut c_char {
    ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"{directive}\" directive: {error}");
    NGX_CONF_ERROR
}

/// What the words of a directive come to.
fn setting(cf: &mut ngx_conf_t, words: &[ngx_str_t]) -> Result<Setting, ConfError> {
    let words = words.iter().map(ngx_str_t::as_bytes);
    let Some(Directive { store, sessions }) = Directive::parse(words)? else {
        return Ok(Setting::Off);
    };
    let (sealer, key_time) = store::sealer(cf, &sessions)?.unzip();
    let conf = CycleConf::being_read(cf);
    let store = match store {
        StoreSource::Said(plan) => conf.store(store::settings(cf, NAME, None, &plan)?),
        StoreSource::Named(name) => conf.defined("store", name)?,
    };
    check_sessions(cf, store.settings(), &sessions)?;
    Ok(Setting::On(Destination {
        store,
        suspension: store::suspension(&sessions),
        single_use: sessions.single_use,
        keyspace: sessions.keyspace,
        sealer: sealer.map(Rc::new),
        key_time,
    }))
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
