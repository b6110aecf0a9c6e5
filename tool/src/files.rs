//! Files that parameters name: passwords and sealing keys.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ssl_session_cache_core::plan::{Auth, PlanError};
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::session::sealed::{KeyId, Sealer, KEY_LEN};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::cipher::{Aes, Gcm};

/// Longer than any password: what is larger is another file.
const MAX_SECRET: u64 = 4096;

/// A file that cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system refuses it.
    #[error("cannot read file \"{file}\" of parameter \"{parameter}\": {reason}")]
    System {
        /// Which parameter names it.
        parameter: &'static str,
        /// As it was looked for.
        file: PathBuf,
        /// By the system.
        reason: io::Error,
    },
    /// It holds something else.
    #[error("unfit file \"{file}\" of parameter \"{parameter}\", expected {expected}")]
    Unfit {
        /// Which parameter names it.
        parameter: &'static str,
        /// As it was looked for.
        file: PathBuf,
        /// What would be right.
        expected: String,
    },
    /// The password in it is none for this kind of server.
    #[error(transparent)]
    Secret(#[from] PlanError),
}

/// The path of a file that a parameter names: relative to the folder of nginx.conf, or to where the tool
/// runs.
pub fn path(base: &Path, name: &[u8]) -> PathBuf {
    base.join(OsStr::from_bytes(name))
}

/// Whether others than its owner can read a file; with `is_group`, also where only its group can.
pub fn is_open(path: &Path, is_group: bool) -> bool {
    let others = if is_group { 0o077 } else { 0o007 };
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & others != 0)
}

/// Who the client of a server says it is; the password may be in a file.
pub fn credentials(base: &Path, auth: &Auth<'_>) -> Result<Credentials, FileError> {
    match auth {
        Auth::Said(credentials) => Ok(credentials.clone()),
        Auth::InFile(file) => {
            let secret = secret(file.parameter, &path(base, file.name))?;
            Ok(file.credentials(&secret)?)
        }
    }
}

/// The one line of a file, without its end.
fn secret(parameter: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut secret = read(parameter, path, MAX_SECRET + 1)?;
    let end = [&b"\r\n"[..], b"\n"].into_iter().find(|end| secret.ends_with(end));
    let len = secret.len() - end.unwrap_or_default().len();
    let is_long = secret.len() as u64 > MAX_SECRET;
    secret.truncate(len);
    if secret.is_empty() || is_long || secret.contains(&b'\n') {
        let expected = format!("one line with a password, of at most {MAX_SECRET} bytes");
        return Err(FileError::Unfit { parameter, file: path.into(), expected });
    }
    Ok(secret)
}

/// A sealing key, with what it is known by.
pub struct SealingKey {
    /// What it is known by.
    pub id: KeyId,
    /// What opens the records that were sealed with it.
    pub sealer: Sealer<Aes, Gcm>,
}

/// The key in a file.
pub fn sealing_key(path: &Path) -> Result<SealingKey, FileError> {
    let content = read("key", path, KEY_LEN as u64 + 1)?;
    let unfit =
        |expected: String| FileError::Unfit { parameter: "key", file: path.into(), expected };
    let Ok(key) = <&[u8; KEY_LEN]>::try_from(&content[..]) else {
        return Err(unfit(format!(
            "exactly {KEY_LEN} bytes; \"ssl-session-cache key new FILE\" makes a key file"
        )));
    };
    let make = || {
        let mut sealer = Sealer::new(Gcm);
        sealer.add(Aes::new(key).ok()?).ok()?;
        Some(SealingKey { id: sealer.key_id()?, sealer })
    };
    make().ok_or_else(|| unfit("an OpenSSL with AES-256".to_owned()))
}

/// The file of a parameter, up to a length.
fn read(parameter: &'static str, path: &Path, len: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let read = File::open(path).and_then(|file| read_secret(file, len));
    read.map_err(|reason| FileError::System { parameter, file: path.into(), reason })
}

/// What a file has, up to a length.
pub fn read_secret(file: File, len: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // All at once, so that nothing is left in memory where a vector grows.
    let mut content = Zeroizing::new(Vec::with_capacity(len as usize + 1));
    file.take(len).read_to_end(&mut content)?;
    Ok(content)
}
