//! The directive `remote_ssl_session_cache`: parsed, inherited, and wired up to the SSL_CTX of each
//! server that it is on for.

use core::ffi::{c_char, c_void};
use core::ptr;
use std::rc::Rc;

use nginx_sys::{
    ngx_command_t, ngx_conf_t, ngx_str_t, ngx_uint_t, NGX_CONF_1MORE, NGX_HTTP_MAIN_CONF,
    NGX_HTTP_SRV_CONF, NGX_HTTP_SRV_CONF_OFFSET, NGX_LOG_EMERG,
};
use ngx::core::{NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::http::{HttpModuleMainConf, Merge, MergeConfigError};
use ngx::{ngx_conf_log_error, ngx_string};
use ssl_session_cache_core::plan::Directive;
use ssl_session_cache_core::session::Keyspace;

use crate::counters::Counted;
use crate::frontend::status;
use crate::handshake::{SessionCache, Suspension};
use crate::nginx::NAME;
use crate::openssl::Sealer;
use crate::store::{Settings, Store, StoreConf};
use crate::Module;

use self::error::Error;

mod directive;
mod error;
mod file;
mod key_file;
mod tls;

/// The module's directives.
pub(crate) static mut COMMANDS: [ngx_command_t; 3] = [
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_cache"),
        type_: (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_CONF_1MORE) as ngx_uint_t,
        set: Some(set_cache),
        conf: NGX_HTTP_SRV_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    },
    status::COMMAND,
    ngx_command_t::empty(),
];

/// An error that has been written to the log already.
pub(crate) struct Reported;

/// What is kept for all of http{}.
#[derive(Default)]
pub(crate) struct MainConf {
    /// The stores that the configuration names; equal directives share one.
    stores: Vec<Rc<StoreConf>>,
    /// What the callbacks of an SSL_CTX use, which keeps the address: a box would forbid that, as
    /// who moves one claims to have the only pointer.
    pub(crate) caches: Vec<Rc<SessionCache>>,
    /// The stores that are counted; `None` where nothing is.
    pub(crate) counted: Option<Vec<Counted>>,
}

impl MainConf {
    /// The stores that some server uses.
    pub(crate) fn stores(&self) -> impl Iterator<Item = &StoreConf> {
        self.stores
            .iter()
            .map(Rc::as_ref)
            .filter(|store| self.caches.iter().any(|cache| ptr::eq(cache.store_conf(), *store)))
    }

    /// Gives the callbacks a store as this worker has it, or takes it away.
    pub(crate) fn use_store(&self, conf: &StoreConf, store: Option<&Rc<Store>>) {
        let uses = |cache: &&Rc<SessionCache>| ptr::eq(cache.store_conf(), conf);
        self.caches.iter().filter(uses).for_each(|cache| cache.use_store(store.cloned()));
    }

    /// The ways in which handshakes are suspended.
    pub(crate) fn suspensions(&self) -> impl Iterator<Item = Suspension> + '_ {
        let used = |way: &_| self.caches.iter().any(|cache| cache.suspension() == *way);
        Suspension::ALL.into_iter().filter(used)
    }

    /// The store for these settings: the one that an equal directive made, or a new one.
    fn store(&mut self, settings: Settings) -> Rc<StoreConf> {
        if let Some(store) = self.stores.iter().find(|store| *store.settings() == settings) {
            return Rc::clone(store);
        }
        let store = Rc::new(StoreConf::new(settings));
        self.stores.push(Rc::clone(&store));
        store
    }
}

/// What is kept for http{} and for each server{}.
#[derive(Default)]
pub(crate) struct ServerConf {
    setting: Option<Setting>,
    /// Whether the configuration itself asks for stateless session tickets.
    pub(crate) tickets_requested: bool,
}

/// What a directive says.
#[derive(Clone)]
enum Setting {
    Off,
    On(Destination),
}

/// Where a server's sessions go, and by what means.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) store: Rc<StoreConf>,
    /// The keys of its sessions in the store.
    pub(crate) keyspace: Keyspace,
    /// None where sessions are stored in clear.
    pub(crate) sealer: Option<Rc<Sealer>>,
    /// The time of the file of the key that sessions are sealed with, in Unix seconds.
    pub(crate) key_time: Option<i64>,
    /// How handshakes are to be suspended, if not in whatever way works best.
    pub(crate) suspension: Option<Suspension>,
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.store, &other.store)
            && self.keyspace == other.keyspace
            && self.sealer == other.sealer
            && self.suspension == other.suspension
    }
}

impl ServerConf {
    /// Where the server's sessions go, if the cache is on for it.
    pub(crate) fn destination(&self) -> Option<&Destination> {
        match &self.setting {
            Some(Setting::On(destination)) => Some(destination),
            Some(Setting::Off) | None => None,
        }
    }
}

impl Merge for ServerConf {
    fn merge(&mut self, outer: &Self) -> Result<(), MergeConfigError> {
        if self.setting.is_none() {
            self.setting.clone_from(&outer.setting);
        }
        Ok(())
    }
}

extern "C" fn set_cache(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls this with its configuration context and with what create_srv_conf() made.
    let (cf, conf) = unsafe { (&mut *cf, &mut *conf.cast::<ServerConf>()) };
    if conf.setting.is_some() {
        return c"is duplicate".as_ptr().cast_mut();
    }

    // SAFETY: nginx keeps the words of a directive as an array of ngx_str_t, the name first.
    let words = unsafe { (*cf.args).as_slice::<ngx_str_t>() };
    match setting(cf, &words[1..]) {
        Ok(setting) => {
            conf.setting = Some(setting);
            NGX_CONF_OK
        }
        Err(error) => {
            ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"{NAME}\" directive: {error}");
            NGX_CONF_ERROR
        }
    }
}

/// What the words of a directive come to.
fn setting(cf: &mut ngx_conf_t, words: &[ngx_str_t]) -> Result<Setting, Error> {
    let words = words.iter().map(ngx_str_t::as_bytes);
    let Some(Directive { store, sessions }) = Directive::parse(words)? else {
        return Ok(Setting::Off);
    };
    let (sealer, key_time) = directive::sealer(cf, &sessions)?.unzip();
    let settings = directive::store(cf, &store)?;
    let main = Module::main_conf_mut(cf).expect("made before any directive is read");
    Ok(Setting::On(Destination {
        store: main.store(settings),
        suspension: directive::suspension(&sessions),
        keyspace: sessions.keyspace,
        sealer: sealer.map(Rc::new),
        key_time,
    }))
}
