//! Which stores a command is about: those of the words of a directive, or of a configuration of nginx.

mod levels;
mod nginx_conf;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use clap::Args;
use ssl_session_cache_core::plan::{
    Directive, DirectivePlan, PlanError, SessionsPlan, StorePlan, StoreSource,
};
use ssl_session_cache_core::session::Keyspace;
use thiserror::Error;

use self::nginx_conf::{Configuration, ReadError};

/// Where stores are said.
#[derive(Args, Debug)]
pub struct TargetArgs {
    /// The words of remote_ssl_session_cache, as in nginx.conf: addr=10.0.0.5 auth_file=redis.password
    ///
    /// Names of files are relative to the current folder. What is typed here can be seen by others on this
    /// machine (ps): give a password by auth_file=, not by auth=.
    #[arg(value_name = "WORDS")]
    pub words: Vec<OsString>,

    #[command(flatten)]
    conf: ConfArgs,
}

/// Where stores are said, if not in words.
#[derive(Args, Debug)]
pub struct ConfArgs {
    /// Read the stores from the configuration of nginx, as nginx -T prints it
    #[arg(short = 'c', long = "conf", value_name = "FILE")]
    file: Option<PathBuf>,

    /// The nginx that is run with -T
    #[arg(long, value_name = "BINARY", default_value = "nginx")]
    nginx: PathBuf,

    /// The prefix of that nginx (its -p)
    #[arg(short = 'p', long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,

    /// Only the store with this name
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
}

/// What keeps a command from its stores.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Neither, or both.
    #[error("expected the words of \"remote_ssl_session_cache\", such as addr=10.0.0.5, or -c with the file \
             of nginx's configuration")]
    Nothing,
    /// Words next to a configuration.
    #[error("unexpected words next to -c, which says all")]
    Both,
    /// Words that say off, or name a block.
    #[error("unexpected word \"{0}\", expected words of a store: blocks are found with -c")]
    NoStore(&'static str),
    /// The words are wrong.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Those of a configuration.
    #[error("{error}, at {place}")]
    Placed {
        /// What is wrong.
        error: PlanError,
        /// File and line.
        place: String,
    },
    /// Nginx cannot be run.
    #[error("cannot run \"{0}\": {1}; --nginx says where it is")]
    Run(PathBuf, io::Error),
    /// Nginx refuses its configuration.
    #[error("\"{0} -T\" refuses the configuration")]
    Refused(PathBuf),
    /// What it prints.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing to do.
    #[error("no \"remote_ssl_session_cache\" is on in the configuration")]
    Off,
    /// No such store.
    #[error("no store is called \"{0}\", expected one of: {1}")]
    Unknown(String, String),
}

/// What was said, from which [plans](Source::uses) are made.
pub enum Source {
    /// Words.
    Words(Vec<OsString>),
    /// A configuration.
    Configuration {
        /// Its directives.
        read: Configuration,
        /// The only store that counts.
        store: Option<String>,
    },
}

/// A store, and what it is called.
pub struct Store<'a> {
    /// That of its block, or where it is.
    pub name: String,
    /// Where it is.
    pub plan: StorePlan<'a>,
}

/// A store and the sessions that are kept there.
pub struct Use<'a> {
    /// Where sessions are stored.
    pub store: Rc<Store<'a>>,
    /// Where they are looked for next.
    pub fallback: Option<Rc<Store<'a>>>,
    /// What is kept of them.
    pub sessions: SessionsPlan<'a>,
    /// Where that is said; empty of words.
    pub place: String,
    /// Whether the server takes early data, or shares ticket keys: both need records that are added.
    pub adds: bool,
}

impl Source {
    /// What the command was given.
    pub fn read(args: TargetArgs) -> Result<Self, TargetError> {
        let TargetArgs { words, conf } = args;
        match (conf.file, words.first()) {
            (None, None) => Err(TargetError::Nothing),
            (None, Some(_)) if conf.store.is_some() => Err(TargetError::Nothing),
            (None, Some(_)) => Ok(Self::Words(words)),
            (Some(_), Some(_)) => Err(TargetError::Both),
            (Some(file), None) => {
                let dump = dump(&conf.nginx, conf.prefix.as_deref(), &file)?;
                let read = Configuration::read(&dump)?;
                Ok(Self::Configuration { read, store: conf.store })
            }
        }
    }

    /// Where relative names of files begin.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Words(_) => Path::new(""),
            Self::Configuration { read, .. } => &read.folder,
        }
    }

    /// The stores, and what is kept there: one at least.
    pub fn uses(&self) -> Result<Vec<Use<'_>>, TargetError> {
        match self {
            Self::Words(words) => Ok(vec![of_words(words)?]),
            Self::Configuration { read, store } => {
                let uses = levels::uses(&read.main)?;
                if uses.is_empty() {
                    return Err(TargetError::Off);
                }
                match store {
                    Some(name) => with_store(uses, name),
                    None => Ok(uses),
                }
            }
        }
    }
}

fn of_words(words: &[OsString]) -> Result<Use<'_>, TargetError> {
    let words = words.iter().map(|word| word.as_bytes());
    let Some(DirectivePlan { store, sessions }) = Directive::parse(words)?.plan()? else {
        return Err(TargetError::NoStore("off"));
    };
    let StoreSource::Said(plan) = store else { return Err(TargetError::NoStore("store")) };
    let store = Rc::new(Store::unnamed(*plan));
    Ok(Use { store, fallback: None, sessions, place: String::new(), adds: false })
}

/// The uses of one store, be it as a fallback.
fn with_store<'a>(uses: Vec<Use<'a>>, name: &str) -> Result<Vec<Use<'a>>, TargetError> {
    let named = uses.iter().flat_map(|found| [Some(&found.store), found.fallback.as_ref()]);
    let mut names: Vec<_> = named.flatten().map(|store| store.name.clone()).collect();
    names.sort();
    names.dedup();
    let is_it = |store: &Store<'_>| store.name == name;
    let found: Vec<_> = uses
        .into_iter()
        .filter_map(|found| match &found.fallback {
            _ if is_it(&found.store) => Some(Use { fallback: None, ..found }),
            Some(fallback) if is_it(fallback) => {
                let store = Rc::clone(fallback);
                Some(Use { store, fallback: None, ..found })
            }
            _ => None,
        })
        .collect();
    match found.is_empty() {
        true => Err(TargetError::Unknown(name.to_owned(), names.join(", "))),
        false => Ok(found),
    }
}

/// A store that is used, and by what.
pub struct Used<'u, 'a> {
    /// The store.
    pub store: &'u Rc<Store<'a>>,
    /// What is kept there, or looked for there.
    pub uses: Vec<&'u Use<'a>>,
    /// Whether it is only ever a fallback.
    pub is_fallback: bool,
}

impl Used<'_, '_> {
    /// Each prefix that is used there once.
    pub fn keyspaces(&self) -> Vec<Keyspace> {
        let mut keyspaces: Vec<Keyspace> = Vec::new();
        for keyspace in self.uses.iter().map(|one| &one.sessions.keyspace) {
            if !keyspaces.contains(keyspace) {
                keyspaces.push(keyspace.clone());
            }
        }
        keyspaces
    }
}

/// Each store once.
pub fn stores<'u, 'a>(uses: &'u [Use<'a>]) -> Vec<Used<'u, 'a>> {
    let mut found: Vec<Used<'u, 'a>> = Vec::new();
    let firsts = uses.iter().map(|one| (&one.store, one, false));
    let fallbacks =
        uses.iter().filter_map(|one| one.fallback.as_ref().map(|store| (store, one, true)));
    for (store, by, is_fallback) in firsts.chain(fallbacks) {
        match found.iter_mut().find(|other| other.store.plan == store.plan) {
            Some(other) => {
                other.uses.push(by);
                other.is_fallback &= is_fallback;
            }
            None => found.push(Used { store, uses: vec![by], is_fallback }),
        }
    }
    found
}

impl<'a> Store<'a> {
    /// A store that no block names.
    fn unnamed(plan: StorePlan<'a>) -> Self {
        let words: Vec<_> = plan.servers.iter().map(|place| place.word()).collect();
        Self { name: words.join(" "), plan }
    }
}

/// What `nginx -T` prints of a configuration.
fn dump(nginx: &Path, prefix: Option<&Path>, file: &Path) -> Result<Vec<u8>, TargetError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut command = Command::new(nginx);
    if let Some(prefix) = prefix {
        // The names of files in the dump begin with it.
        command.arg("-p").arg(absolute(prefix));
    }
    command.arg("-T").arg("-c");
    // Without a prefix, nginx takes a relative name to be one of its own folder.
    let file = match prefix {
        None => absolute(file),
        Some(_) => file.into(),
    };
    let output = command.arg(&file).output();
    let output = output.map_err(|error| TargetError::Run(nginx.into(), error))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(TargetError::Refused(nginx.into()));
    }
    Ok(output.stdout)
}
