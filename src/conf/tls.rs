//! TLS to a store: its files, and the context that connections are made of.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use nginx_sys::{ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::plan::TlsPlan;

use crate::conf::error::{ConfError, FileParameter};
use crate::conf::file::{full_name, open};
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
    let mut file = |parameter: FileParameter, name| {
        let path = full_name(cf, name);
        // OpenSSL would not tell so well what is wrong.
        open(&path).map_err(|error| parameter.fail(error))?;
        Ok::<_, ConfError>(path)
    };
    let ca = plan.ca.map(|name| file(CA, name)).transpose()?;
    let identity = plan
        .identity
        .map(|(certificate, key)| {
            Ok::<_, ConfError>((file(CERTIFICATE, certificate)?, file(KEY, key)?))
        })
        .transpose()?;
    let c_string = |path: &PathBuf| {
        CString::new(path.as_os_str().as_bytes()).expect("no name has a zero, which is refused")
    };
    let settings = TlsSettings {
        name: plan.name.clone().map(Peer::from),
        verify: plan.verify,
        identity: identity.as_ref().map(|(certificate, key)| Identity {
            certificate: c_string(certificate),
            key: c_string(key),
        }),
        ca: ca.as_ref().map(c_string),
    };
    let tls = Tls::new(settings, cf.log).map_err(|TlsError { part, reason }| {
        let (parameter, file) = match part {
            TlsPart::Ca => (CA, ca),
            TlsPart::Certificate => (CERTIFICATE, identity.map(|(certificate, _)| certificate)),
            TlsPart::Key => (KEY, identity.map(|(_, key)| key)),
            TlsPart::Context => return ConfError::Tls(reason),
        };
        parameter.refuse(&file.unwrap_or_default(), reason)
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
