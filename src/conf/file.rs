//! Files that a directive or a block names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nginx_sys::{ngx_conf_full_name, ngx_conf_t, NGX_LOG_WARN, NGX_OK};
use ngx::ngx_conf_log_error;

use crate::conf::cycle::CycleConf;
use crate::nginx::borrowed;

/// Longer than any password: what is larger is another file.
const MAX_SECRET: u64 = 4096;

/// The path of a file; relative names are relative to the folder of nginx.conf.
pub(crate) fn full_name(cf: &mut ngx_conf_t, name: &[u8]) -> io::Result<PathBuf> {
    let mut name = borrowed(name);
    // SAFETY: the name is read only; what it is replaced by lies in the pool, which outlives this
    // call.
    if unsafe { ngx_conf_full_name(cf.cycle, &mut name, 1) } != NGX_OK as isize {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(OsStr::from_bytes(name.as_bytes()).into())
}

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
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
    name: &[u8],
    parameter: &str,
) -> Result<Vec<u8>, SecretError> {
    let path = full_name(cf, name)?;
    let file = File::open(&path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut secret = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut secret)?;
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
    if mode & 0o004 != 0 && CycleConf::being_read(cf).warns_of(&path) {
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
