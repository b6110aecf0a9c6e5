//! The parameters of TLS to a store.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

use nginx_sys::{ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;

use crate::conf::error::{incomplete, text, Error};
use crate::conf::file::full_name;
use crate::net::{Identity, Peer, Tls, TlsError, TlsPart, TlsSettings};
use crate::nginx::NAME;

/// What a directive says of TLS.
#[derive(Default)]
pub(super) struct Words<'a> {
    pub(super) enabled: Option<bool>,
    pub(super) ca: Option<&'a [u8]>,
    pub(super) name: Option<Peer>,
    pub(super) certificate: Option<&'a [u8]>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) verify: Option<bool>,
}

impl Words<'_> {
    /// Whether the parameters go with each other.
    pub(super) fn check(&self) -> Result<(), Error> {
        let given = [
            ("tls_ca", self.ca.is_some()),
            ("tls_name", self.name.is_some()),
            ("tls_cert", self.certificate.is_some()),
            ("tls_key", self.key.is_some()),
            ("tls_verify", self.verify.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((name, _)) if self.enabled != Some(true) => {
                return Err(incomplete(name, "\"tls=on\""));
            }
            _ => {}
        }
        match (self.certificate, self.key) {
            (Some(_), None) => Err(incomplete("tls_cert", "\"tls_key=\"")),
            (None, Some(_)) => Err(incomplete("tls_key", "\"tls_cert=\"")),
            _ => Ok(()),
        }
    }

    /// Reads the files; `None` without TLS. The server is known by `host` where no name is given,
    /// which a unix socket does not have.
    pub(super) fn resolve(
        self,
        cf: &mut ngx_conf_t,
        host: Option<&[u8]>,
    ) -> Result<Option<Rc<Tls>>, Error> {
        if self.enabled != Some(true) {
            return Ok(None);
        }
        let verify = self.verify.unwrap_or(true);
        let peer = self.name.or_else(|| host.and_then(Peer::parse));
        if verify && peer.is_none() {
            return Err(incomplete("tls", "\"tls_name=\""));
        }
        let settings = TlsSettings {
            peer,
            verify,
            ca: self.ca.map(|file| CA.path(cf, file)).transpose()?,
            identity: match (self.certificate, self.key) {
                (Some(certificate), Some(key)) => Some(Identity {
                    certificate: CERTIFICATE.path(cf, certificate)?,
                    key: KEY.path(cf, key)?,
                }),
                _ => None,
            },
        };
        let tls = Tls::new(settings, cf.log).map_err(|TlsError { part, reason }| {
            let (parameter, file) = match part {
                TlsPart::Ca => (CA, self.ca),
                TlsPart::Certificate => (CERTIFICATE, self.certificate),
                TlsPart::Key => (KEY, self.key),
                TlsPart::Context | TlsPart::Peer => return Error::Tls(reason),
            };
            parameter.error(file.unwrap_or_default(), reason)
        })?;
        if !verify {
            ngx_conf_log_error!(
                NGX_LOG_WARN,
                cf,
                "\"{NAME}\" directive: with \"tls_verify=off\" whoever answers in place of the \
                 store is taken for the store"
            );
        }
        Ok(Some(Rc::new(tls)))
    }
}

/// A parameter that names a file.
#[derive(Clone, Copy)]
struct FileParameter {
    name: &'static str,
    expected: &'static str,
}

const CA: FileParameter = FileParameter { name: "tls_ca", expected: "certificates in PEM" };
const CERTIFICATE: FileParameter =
    FileParameter { name: "tls_cert", expected: "a certificate in PEM" };
const KEY: FileParameter =
    FileParameter { name: "tls_key", expected: "the certificate's key in PEM, without a password" };

impl FileParameter {
    fn path(self, cf: &mut ngx_conf_t, file: &[u8]) -> Result<CString, Error> {
        let path = full_name(cf, file).map_err(|reason| self.error(file, reason.to_string()))?;
        CString::new(path.into_os_string().into_vec())
            .map_err(|reason| self.error(file, reason.to_string()))
    }

    fn error(self, file: &[u8], reason: String) -> Error {
        Error::File { name: self.name, file: text(file), expected: self.expected, reason }
    }
}
