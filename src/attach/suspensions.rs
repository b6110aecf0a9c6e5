//! How handshakes wait: chosen, made ready, and told of, for each server that is the default one of a
//! socket. What others say is not looked at.

use nginx_sys::ngx_cycle_t;

use crate::attach::alike::Alike;
use crate::conf::{CycleConf, DefaultCache, Reported};
use crate::handshake::Suspension;
use crate::nginx::{log, NAME};

/// Chooses how handshakes wait. Other modules have set their callbacks by now.
pub(super) fn choose_suspensions(cycle: &ngx_cycle_t, conf: &CycleConf) -> Result<(), Reported> {
    for DefaultCache { server, cache, .. } in &*conf.default_caches() {
        cache.choose_suspension().map_err(|(way, missing)| {
            log!(
                NGX_LOG_EMERG,
                cycle.log,
                "\"suspend={}\" of \"{NAME}\" is not possible for {server}: {missing}",
                way.name()
            );
            Reported
        })?;
    }
    Ok(())
}

/// Prepares for handshakes, once all of the configuration has been read: `pcre_jit` may come last.
pub(crate) fn prepare_suspensions(cycle: &ngx_cycle_t, conf: &CycleConf) {
    let caches = conf.default_caches();
    let mut choices = caches.iter().filter_map(|known| known.cache.choice());
    if choices.any(|choice| choice.clone().fit(cycle) != choice) {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "with \"pcre_jit on\" handshakes are suspended with {}: regular expressions then take \
             more stack than an OpenSSL job has",
            Suspension::Hello
        );
    }
    let lost =
        caches.iter().filter_map(|known| Some((known.cache.prepare(cycle).err()?, &*known.server)));
    for (missing, servers) in alike(lost) {
        log!(
            NGX_LOG_ERR,
            cycle.log,
            "handshakes of {servers} look up no sessions in the store: {missing}"
        );
    }
}

/// Tells how handshakes wait, and why: without servers where it is the same for all.
pub(crate) fn tell_suspensions(cycle: &ngx_cycle_t, conf: &CycleConf) {
    let caches = conf.default_caches();
    let chosen = caches.iter().filter_map(|known| Some((known.cache.choice()?, &*known.server)));
    let choices = alike(chosen);
    if let [(choice, _)] = choices.as_slice() {
        log!(NGX_LOG_NOTICE, cycle.log, "handshakes are suspended with {choice}");
        return;
    }
    for (choice, servers) in choices {
        log!(NGX_LOG_NOTICE, cycle.log, "handshakes of {servers} are suspended with {choice}");
    }
}

/// The servers of which the same is to be told, in the order in which they come.
fn alike<'a, T: PartialEq>(all: impl Iterator<Item = (T, &'a str)>) -> Vec<(T, Alike<'a>)> {
    let mut told: Vec<(T, Alike<'a>)> = Vec::new();
    for (what, server) in all {
        match told.iter_mut().find(|(other, _)| *other == what) {
            Some((_, servers)) => servers.push(server),
            None => told.push((what, Alike::from_iter([server]))),
        }
    }
    told
}
