//! Key files, read when the configuration is.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nginx_sys::{ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;
use ssl_session_cache_core::session::sealed::{KeyError, KEY_LEN};
use zeroize::Zeroizing;

use crate::conf::cycle::CycleConf;
use crate::conf::file::full_name;
use crate::nginx::NAME;
use crate::openssl::{Aes, Gcm, Sealer};

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("{0}")]
    Unreadable(#[from] io::Error),
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
#[error("invalid key file \"{file}\": {reason}")]
pub(crate) struct KeyFileError {
    file: String,
    reason: Reason,
}

/// A sealer with the keys of these files, the first one first, and the time of that one's file, in
/// Unix seconds. Relative names are relative to the folder of nginx.conf.
pub(crate) fn sealer(cf: &mut ngx_conf_t, files: &[&[u8]]) -> Result<(Sealer, i64), KeyFileError> {
    let mut sealer = Sealer::new(Gcm::new().ok_or_else(|| error(files[0], Reason::Cipher))?);
    let mut time = None;
    for file in files {
        let made = add(&mut sealer, cf, file).map_err(|reason| error(file, reason))?;
        time.get_or_insert(made);
    }
    Ok((sealer, time.unwrap_or_default()))
}

fn error(file: &[u8], reason: Reason) -> KeyFileError {
    KeyFileError { file: String::from_utf8_lossy(file).into_owned(), reason }
}

/// Adds a key, and tells the time of its file.
fn add(sealer: &mut Sealer, cf: &mut ngx_conf_t, file: &[u8]) -> Result<i64, Reason> {
    let path = full_name(cf, file)?;
    let mut opened = File::open(&path)?;
    let metadata = opened.metadata()?;
    if metadata.len() != KEY_LEN as u64 {
        return Err(Reason::Length);
    }
    let is_open = metadata.permissions().mode() & 0o077 != 0;
    if is_open && CycleConf::being_read(cf).warns_of(&path) {
        ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "\"{NAME}\" directive: key file \"{}\" is open to others than its owner; \
             \"chmod 600\" it",
            path.display()
        );
    }
    let mut key = Zeroizing::new([0; KEY_LEN]);
    opened.read_exact(&mut key[..])?;
    sealer.add(Aes::new(&key).ok_or(Reason::Cipher)?)?;
    Ok(metadata.mtime())
}
