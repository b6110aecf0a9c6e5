//! TLS to a store: its files, and the context that connections are made of.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

use nginx_sys::{ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::plan::TlsPlan;

use crate::conf::error::{ConfError, FileParameter};
use crate::conf::file::full_name;
use crate::net::{Identity, Peer, Tls, TlsError, TlsPart, TlsSettings};

const CA: FileParameter = FileParameter { name: "tls_ca", expected: "certificates in PEM" };
const CERTIFICATE: FileParameter =
    FileParameter { name: "tls_cert", expected: "a certificate in PEM" };
const KEY: FileParameter =
    FileParameter { name: "tls_key", expected: "the certificate's key in PEM, without a password" };

/// Reads the files, and makes the context.
pub(super) fn context(
    cf: &mut ngx_conf_t,
    directive: &str,
    plan: &TlsPlan<'_>,
) -> Result<Rc<Tls>, ConfError> {
    let identity = |(certificate, key)| {
        Ok::<_, ConfError>(Identity {
            certificate: path(cf, CERTIFICATE, certificate)?,
            key: path(cf, KEY, key)?,
        })
    };
    let settings = TlsSettings {
        name: plan.name.clone().map(Peer::from),
        verify: plan.verify,
        identity: plan.identity.map(identity).transpose()?,
        ca: plan.ca.map(|file| path(cf, CA, file)).transpose()?,
    };
    let tls = Tls::new(settings, cf.log).map_err(|TlsError { part, reason }| {
        let (parameter, file) = match part {
            TlsPart::Ca => (CA, plan.ca),
            TlsPart::Certificate => {
                (CERTIFICATE, plan.identity.map(|(certificate, _)| certificate))
            }
            TlsPart::Key => (KEY, plan.identity.map(|(_, key)| key)),
            TlsPart::Context => return ConfError::Tls(reason),
        };
        parameter.refuse(file.unwrap_or_default(), reason)
    })?;
    if !plan.verify {
        ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "\"{directive}\" directive: with \"tls_verify=off\" whoever answers in place of the store is \
             taken for the store"
        );
    }
    Ok(Rc::new(tls))
}

fn path(cf: &mut ngx_conf_t, parameter: FileParameter, file: &[u8]) -> Result<CString, ConfError> {
    let path = full_name(cf, file).map_err(|reason| parameter.refuse(file, reason))?;
    CString::new(path.into_os_string().into_vec()).map_err(|reason| parameter.refuse(file, reason))
}
