//! Key files, read when the configuration is.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nginx_sys::{ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::session::sealed::{KeyError, KEY_LEN};
use zeroize::Zeroizing;

use crate::conf::cycle::CycleConf;
use crate::conf::file::{full_name, open, SystemError};
use crate::nginx::NAME;
use crate::openssl::{Aes, Gcm, Sealer};

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error(
        "expected exactly {KEY_LEN} bytes, as \"openssl rand {KEY_LEN} > cache.key\" makes them"
    )]
    Length,
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("OpenSSL has no AES-256 or no memory")]
    Cipher,
}

/// A key file that is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("cannot use parameter \"key\": {0}")]
    System(#[from] SystemError),
    #[error("invalid key file \"{file}\": {reason}")]
    Invalid { file: String, reason: Reason },
}

/// A sealer with the keys of these files, the first one first, and the time of that one's file, in
/// Unix seconds. Relative names are relative to the folder of nginx.conf.
pub(crate) fn sealer(cf: &mut ngx_conf_t, files: &[&[u8]]) -> Result<(Sealer, i64), KeyFileError> {
    let first = full_name(cf, files[0]);
    let gcm = Gcm::new().ok_or(Reason::Cipher).map_err(invalid(&first))?;
    let mut sealer = Sealer::new(gcm);
    let mut time = None;
    for file in files {
        let path = full_name(cf, file);
        let made = add(&mut sealer, cf, &path)?;
        time.get_or_insert(made);
    }
    Ok((sealer, time.unwrap_or_default()))
}

fn invalid<E: Into<Reason>>(file: &Path) -> impl FnOnce(E) -> KeyFileError {
    let file = file.display().to_string();
    move |reason| KeyFileError::Invalid { file, reason: reason.into() }
}

/// Adds a key, and tells the time of its file.
fn add(sealer: &mut Sealer, cf: &mut ngx_conf_t, path: &Path) -> Result<i64, KeyFileError> {
    let mut file = open(path)?;
    let metadata = file.metadata().map_err(SystemError::of("fstat", path))?;
    if metadata.len() != KEY_LEN as u64 {
        return Err(invalid(path)(Reason::Length));
    }
    let is_open = metadata.permissions().mode() & 0o077 != 0;
    if is_open && CycleConf::being_read(cf).warns_of(path) {
        ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "\"{NAME}\" directive: key file \"{}\" is open to others than its owner; \
             \"chmod 600\" it",
            path.display()
        );
    }
    let mut key = Zeroizing::new([0; KEY_LEN]);
    file.read_exact(&mut key[..]).map_err(SystemError::of("read", path))?;
    let key = Aes::new(&key).ok_or(Reason::Cipher).map_err(invalid(path))?;
    sealer.add(key).map_err(invalid(path))?;
    Ok(metadata.mtime())
}
