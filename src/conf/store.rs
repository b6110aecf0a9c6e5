//! What a directive or a block plans, made: names looked up, files read.

use nginx_sys::ngx_conf_t;
use ssl_session_cache_core::plan::{
    self, Auth, Place, PlanError, SessionsPlan, StorePlan, Suspend,
};
use ssl_session_cache_core::protocol::Credentials;

use crate::conf::error::{ConfError, FileParameter};
use crate::conf::file::{full_name, read_secret};
use crate::conf::{key_file, tls};
use crate::handshake::Suspension;
use crate::net::{Location, Peer, Tls};
use crate::openssl::Sealer;
use crate::store::{Settings, Shape};

/// Looks the names of the servers up, and reads the files. `name` is what a block calls the store,
/// `directive` what warnings are about.
pub(super) fn settings(
    cf: &mut ngx_conf_t,
    directive: &str,
    name: Option<String>,
    plan: &StorePlan<'_>,
) -> Result<Settings, ConfError> {
    let tls = plan.tls.as_ref().map(|plan| tls::context(cf, directive, plan)).transpose()?;
    let parameter = if name.is_some() { "server" } else { "addr" };
    let location = |place: &Place<'_>| location(cf, parameter, place, tls.as_deref());
    Ok(Settings {
        name,
        locations: plan.servers.iter().map(location).collect::<Result<_, _>>()?,
        shape: shape(cf, directive, &plan.shape)?,
        kind: plan.kind,
        interval: plan.interval,
        count: plan.count,
        timeout: plan.timeout,
        credentials: plan.auth.as_ref().map(|auth| credentials(cf, directive, auth)).transpose()?,
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
        Suspend::Retry => Some(Suspension::Retry),
        Suspend::Async => Some(Suspension::Async),
        Suspend::Hello => Some(Suspension::Hello),
    }
}

fn location(
    cf: &ngx_conf_t,
    parameter: &'static str,
    place: &Place<'_>,
    tls: Option<&Tls>,
) -> Result<Location, ConfError> {
    let peer = tls.and_then(|tls| tls.peer(place.peer().map(Peer::from)));
    Location::of(cf.pool, place, peer).ok_or_else(|| {
        // A system with a lower limit.
        let value = place.word();
        PlanError::Invalid { name: parameter, value, expected: plan::UNIX_PATH }.into()
    })
}

fn shape(cf: &mut ngx_conf_t, directive: &str, plan: &plan::Shape<'_>) -> Result<Shape, ConfError> {
    Ok(match plan {
        plan::Shape::Servers => Shape::Servers,
        plan::Shape::Cluster => Shape::Cluster,
        plan::Shape::Sentinel { master, auth } => Shape::Sentinel {
            master: (*master).into(),
            credentials: auth.as_ref().map(|auth| credentials(cf, directive, auth)).transpose()?,
        },
    })
}

fn credentials(
    cf: &mut ngx_conf_t,
    directive: &str,
    auth: &Auth<'_>,
) -> Result<Credentials, ConfError> {
    match auth {
        Auth::Said(credentials) => Ok(credentials.clone()),
        Auth::InFile(file) => {
            let parameter = FileParameter { name: file.parameter, expected: "a password" };
            let path = full_name(cf, file.name);
            let secret = read_secret(cf, directive, &path, parameter.name)
                .map_err(|error| parameter.no_secret(&path, error))?;
            Ok(file.credentials(&secret)?)
        }
    }
}
