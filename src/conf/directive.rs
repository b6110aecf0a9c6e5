//! What the directive plans, made: names looked up, files read.

use nginx_sys::ngx_conf_t;
use ssl_session_cache_core::plan::{
    self, Auth, Place, PlanError, SessionsPlan, StorePlan, Suspend,
};
use ssl_session_cache_core::protocol::Credentials;

use crate::conf::error::{ConfError, FileParameter};
use crate::conf::file::read_secret;
use crate::conf::{key_file, tls};
use crate::handshake::Suspension;
use crate::net::{Location, Peer, Tls};
use crate::openssl::Sealer;
use crate::store::{Settings, Shape};

const AUTH_FILE: FileParameter = FileParameter { name: "auth_file", expected: "a password" };

/// Looks the store's name up, and reads its files.
pub(super) fn store(cf: &mut ngx_conf_t, plan: &StorePlan<'_>) -> Result<Settings, ConfError> {
    let tls = plan.tls.as_ref().map(|plan| tls::context(cf, plan)).transpose()?;
    let location = |place: &Place<'_>| location(cf, place, tls.as_deref());
    Ok(Settings {
        name: None,
        locations: plan.servers.iter().map(location).collect::<Result<_, _>>()?,
        shape: shape(cf, &plan.shape)?,
        kind: plan.kind,
        interval: plan.interval,
        count: plan.count,
        timeout: plan.timeout,
        credentials: plan.auth.as_ref().map(|auth| credentials(cf, auth)).transpose()?,
        database: plan.database,
        tls,
        site: plan.site,
    })
}

/// Reads the key files, and tells the time of the first; `None` where there are none.
pub(super) fn sealer(
    cf: &mut ngx_conf_t,
    plan: &SessionsPlan<'_>,
) -> Result<Option<(Sealer, i64)>, ConfError> {
    if plan.keys.is_empty() {
        return Ok(None);
    }
    Ok(Some(key_file::sealer(cf, &plan.keys)?))
}

/// How handshakes are to be suspended; `None` for whatever works best.
pub(super) fn suspension(plan: &SessionsPlan<'_>) -> Option<Suspension> {
    match plan.suspend {
        Suspend::Auto => None,
        Suspend::Async => Some(Suspension::Async),
        Suspend::Hello => Some(Suspension::Hello),
    }
}

fn location(cf: &ngx_conf_t, place: &Place<'_>, tls: Option<&Tls>) -> Result<Location, ConfError> {
    let peer = tls.and_then(|tls| tls.peer(place.peer().map(Peer::from)));
    Location::of(cf.pool, place, peer).ok_or_else(|| {
        // A system with a lower limit.
        let value = place.word();
        PlanError::Invalid { name: "addr", value, expected: plan::UNIX_PATH }.into()
    })
}

fn shape(cf: &mut ngx_conf_t, plan: &plan::Shape<'_>) -> Result<Shape, ConfError> {
    Ok(match plan {
        plan::Shape::Servers => Shape::Servers,
        plan::Shape::Cluster => Shape::Cluster,
        plan::Shape::Sentinel { master, auth } => Shape::Sentinel {
            master: (*master).into(),
            credentials: auth.as_ref().map(|auth| credentials(cf, auth)).transpose()?,
        },
    })
}

fn credentials(cf: &mut ngx_conf_t, auth: &Auth<'_>) -> Result<Credentials, ConfError> {
    match auth {
        Auth::Said(credentials) => Ok(credentials.clone()),
        Auth::InFile(file) => {
            let secret = read_secret(cf, file.name, AUTH_FILE.name)
                .map_err(|reason| AUTH_FILE.refuse(file.name, reason))?;
            Ok(file.credentials(&secret)?)
        }
    }
}
