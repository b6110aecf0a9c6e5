//! Key files: makes new ones, and tells which of them are the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use openssl::error::ErrorStack;
use openssl::rand::rand_priv_bytes;
use ssl_session_cache_core::session::sealed::{KeyId, KEY_LEN};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::cipher::Aes;
use crate::files::read_secret;
use crate::output;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new key file
    ///
    /// Writes 32 random bytes to a new file that its owner alone can read, and prints the short id of
    /// the key. A file that is there already is never written to: sessions and tickets that were made
    /// with its key would be lost, on all machines.
    #[command(after_long_help = NEW_HELP)]
    New {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Print the short ids of key files
    ///
    /// Prints a line for each file: its short id and its name. Files with the same id hold the same
    /// key. The id is also on the status page and in the metrics of each nginx. It tells nothing else of
    /// the key, and is no secret.
    #[command(after_long_help = ID_HELP)]
    Id {
        /// Key files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

const NEW_HELP: &str = "\
Exit status:
  0  the file was made
  1  it was not
  2  wrong usage

Examples:
  A key for a fleet, and a machine that gets it. nginx's master process reads the file, which may
  be root's.

      ssl-session-cache key new /etc/nginx/cache.key
      scp -p /etc/nginx/cache.key root@b.example.net:/etc/nginx/

  A new key in place of it: first add it on all machines, key=cache.key key=new.key; then swap the
  two, key=new.key key=cache.key; after ssl_session_timeout drop the old one.

      ssl-session-cache key new /etc/nginx/new.key

Files:
  /etc/nginx/cache.key  Whatever name and folder key= says in nginx.conf: root's, with mode 600.";

const ID_HELP: &str = "\
Exit status:
  0  each file holds a key
  1  one of them does not, or cannot be read
  2  wrong usage

Examples:
  Do all machines have the same key?

      for host in a b c; do
          ssh $host ssl-session-cache key id /etc/nginx/cache.key
      done

  The same id without this program: the first four bytes of what the key makes of a block of zeros
  with AES-256.

      head -c16 /dev/zero |
          openssl enc -aes-256-ecb -nopad -K $(xxd -p -c64 cache.key) |
          head -c4 | xxd -p";

/// Why a key file cannot be made or used.
#[derive(Debug, Error)]
enum KeyFileError {
    #[error("the file exists and is not written to; take another name, or remove it if no nginx uses its key")]
    Exists,
    #[error("cannot {action} it: {reason}")]
    System { action: &'static str, reason: io::Error },
    #[error(
        "expected exactly {KEY_LEN} bytes; \"ssl-session-cache key new FILE\" makes a key file"
    )]
    Length,
    #[error("OpenSSL has no random bytes, no AES-256 or no memory: {0}")]
    OpenSsl(#[from] ErrorStack),
    #[error("AES-256 failed")]
    Cipher,
}

impl KeyFileError {
    fn of(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::System { action, reason }
    }
}

pub(crate) fn run(command: &Command) -> ExitCode {
    match command {
        Command::New { file } => new(file),
        Command::Id { files } => ids(files),
    }
}

fn new(path: &Path) -> ExitCode {
    match make(path) {
        Ok(id) => {
            let whole = path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let (name, file) = (path.display(), whole.display());
            let said = writeln!(
                io::stdout(),
                "{id}  {name}\n\n\
                 The key is {id} for short. Next:\n\
                 - Copy the file to every machine: scp -p {file} root@HOST:{file}\n\
                 - Look whether the id is the same there: ssl-session-cache key id {file}\n\
                 - Name it in each nginx.conf, key={file}, and reload nginx\n\
                 Who can read the file can resume all sessions: keep it out of images and repositories."
            );
            code_of(&said)
        }
        Err(error) => {
            complain(path, &error);
            ExitCode::FAILURE
        }
    }
}

fn ids(paths: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in paths {
        match read(path) {
            Ok((id, mode)) => {
                if mode & 0o077 != 0 {
                    output::complain(format!(
                        "warning: {0}: open to others than its owner; \"chmod 600 {0}\"",
                        path.display()
                    ));
                }
                if writeln!(io::stdout(), "{id}  {}", path.display()).is_err() {
                    return ExitCode::FAILURE;
                }
            }
            Err(error) => {
                complain(path, &error);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Nobody may be there to read it.
fn code_of(said: &io::Result<()>) -> ExitCode {
    if said.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn complain(path: &Path, error: &KeyFileError) {
    output::complain(format!("{}: {error}", path.display()));
}

/// Makes a key file.
fn make(path: &Path) -> Result<KeyId, KeyFileError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    rand_priv_bytes(&mut key[..])?;
    let id = id(&key)?;

    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = created.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists,
        _ => KeyFileError::of("make")(error),
    })?;
    let written = file.write_all(&key[..]).and_then(|()| file.sync_all());
    written.and_then(|()| sync_folder(path)).map_err(|error| {
        // Half a key file is none, and would be in the way of the next attempt. What counts is the
        // first error.
        let _ = fs::remove_file(path);
        KeyFileError::of("write")(error)
    })?;
    Ok(id)
}

/// The name of a file lasts once its folder is written.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The id of the key in a file, and the file's permissions.
fn read(path: &Path) -> Result<(KeyId, u32), KeyFileError> {
    let file = File::open(path).map_err(KeyFileError::of("open"))?;
    let mode = file.metadata().map_err(KeyFileError::of("look at"))?.permissions().mode();
    let bytes = read_secret(file, KEY_LEN as u64 + 1).map_err(KeyFileError::of("read"))?;
    let key = bytes.as_slice().try_into().map_err(|_| KeyFileError::Length)?;
    Ok((id(key)?, mode))
}

fn id(key: &[u8; KEY_LEN]) -> Result<KeyId, KeyFileError> {
    KeyId::of(&Aes::new(key)?).ok_or(KeyFileError::Cipher)
}
