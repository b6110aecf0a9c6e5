//! Files that a directive or a block names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nginx_sys::{ngx_conf_full_name, ngx_conf_t, NGX_LOG_WARN};
use ngx::ngx_conf_log_error;

use crate::conf::cycle::CycleConf;
use crate::nginx::borrowed;

/// Longer than any password: what is larger is another file.
const MAX_SECRET: u64 = 4096;

/// What the system refuses, in nginx's words.
#[derive(Debug, thiserror::Error)]
#[error("{call}() \"{file}\" failed ({number}: {reason})")]
pub(crate) struct SystemError {
    call: &'static str,
    file: String,
    number: i32,
    reason: String,
}

impl SystemError {
    /// Of a call about a file.
    pub(super) fn of(call: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.display().to_string();
        move |error| {
            let number = error.raw_os_error().unwrap_or_default();
            let reason = error.to_string();
            let reason = reason.strip_suffix(&format!(" (os error {number})")).unwrap_or(&reason);
            Self { call, file, number, reason: reason.to_owned() }
        }
    }
}

/// The path of a file; relative names are relative to the folder of nginx.conf.
pub(super) fn full_name(cf: &mut ngx_conf_t, name: &[u8]) -> PathBuf {
    let mut name = borrowed(name);
    // SAFETY: the name is read only; what it is replaced by lies in the pool, which outlives this
    // call. Without memory the name stays what it is.
    unsafe { ngx_conf_full_name(cf.cycle, &mut name, 1) };
    OsStr::from_bytes(name.as_bytes()).into()
}

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<File, SystemError> {
    File::open(path).map_err(SystemError::of("open", path))
}

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error(transparent)]
    System(#[from] SystemError),
    #[error("it is empty")]
    Empty,
    #[error("it is longer than {MAX_SECRET} bytes")]
    TooLong,
    #[error("it has more than one line")]
    Lines,
}

/// The one line of a file, without its end; warns where anybody can read it.
pub(crate) fn read_secret(
    cf: &mut ngx_conf_t,
    directive: &str,
    path: &Path,
    parameter: &str,
) -> Result<Vec<u8>, SecretError> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(SystemError::of("fstat", path))?;
    let mut secret = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut secret).map_err(SystemError::of("read", path))?;
    if secret.len() as u64 > MAX_SECRET {
        return Err(SecretError::TooLong);
    }
    if secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    if secret.is_empty() {
        return Err(SecretError::Empty);
    }
    if secret.contains(&b'\n') {
        return Err(SecretError::Lines);
    }
    let is_open = metadata.permissions().mode() & 0o004 != 0;
    if is_open && CycleConf::being_read(cf).warns_of(path) {
        ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "\"{directive}\" directive: file \"{}\" of parameter \"{parameter}\" can be read by \
             anybody; \"chmod o-r\" it",
            path.display()
        );
    }
    Ok(secret)
}
