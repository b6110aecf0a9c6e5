//! `check`: whether nginx can use its stores, and what will be found out too late.

mod keys;
mod link;
mod memcached;
mod redis;
mod shape;
mod trial;

use std::path::Path;

use clap::Args;

use self::keys::check_keys;
use crate::output::Report;
use crate::store::Access;
use crate::target::{stores, Source, TargetArgs, TargetError, Used};

/// Look at the stores as nginx would use them, and say what is not right and what to do.
#[derive(Args)]
#[command(long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
pub struct CheckArgs {
    #[command(flatten)]
    target: TargetArgs,
}

const LONG_ABOUT: &str = "\
Look at the stores as nginx would use them, and say what is not right and what to do.

It looks up names, connects to each address, speaks TLS, logs in, and tries each command that the module sends: on keys \
of its own under the prefix, which no session has, for ten seconds at most. Then it reads what the server says of its \
memory, its clients and its role, measures 200 lookups, and looks at the key files. It needs no rights beside those of \
the module; what it cannot tell without them is a note.

Each line is marked ok, note, warning (it works, and can do harm) or failure (it does not work). No password is printed. \
Those in the words of a command can be seen by others on the machine (ps): use auth_file= in place of auth=.

Exit status: 0 if nothing has failed, 1 if something has, 2 for wrong words.";

const EXAMPLES: &str = "\
Examples:
  ssl-session-cache check addr=10.0.0.5 auth_file=redis.password key=cache.key
  ssl-session-cache check addr=redis.example.net tls=on tls_ca=ca.crt user=nginx auth_file=redis.password
  ssl-session-cache check type=memcached addr=10.0.0.6
  ssl-session-cache check -c /etc/nginx/nginx.conf
  ssl-session-cache check -c nginx.conf --nginx ./sbin/nginx --store fleet";

/// What the checks of one store have in common.
struct Context<'c, 'u, 'a> {
    report: &'c mut Report,
    base: &'c Path,
    used: &'c Used<'u, 'a>,
    access: &'c Access,
}

/// Whether all is right.
pub fn run(args: CheckArgs) -> Result<bool, TargetError> {
    let source = Source::read(args.target)?;
    let uses = source.uses()?;
    let mut report = Report::new();
    for used in stores(&uses) {
        check_store(&mut report, source.folder(), &used);
    }
    check_keys(&mut report, source.folder(), &uses);
    report.end();
    Ok(!report.has_failed())
}

fn check_store(report: &mut Report, base: &Path, used: &Used<'_, '_>) {
    let plan = &used.store.plan;
    let places = used.uses.iter().map(|one| &one.place[..]).filter(|place| !place.is_empty());
    let places: Vec<_> = places.collect();
    let of = match places.is_empty() {
        true => String::new(),
        false => format!(", used at {}", places.join(", ")),
    };
    report.title(format!("store {} ({}){of}", used.store.name, plan.kind.name()));
    let access = match Access::new(base, plan) {
        Ok(access) => access,
        Err(error) => {
            report.failure(error, "nginx would not start with this");
            return;
        }
    };
    warn_of_files(report, base, used);
    if plan.tls.as_ref().is_some_and(|tls| !tls.verify) {
        let advice = "set tls_verify=on, with tls_ca= and tls_name= where they are needed";
        report.warning(
            "tls_verify=off: whoever answers in place of the store is taken for it",
            advice,
        );
    }
    shape::check(&mut Context { report, base, used, access: &access });
}

/// Files of passwords that anybody can read.
fn warn_of_files(report: &mut Report, base: &Path, used: &Used<'_, '_>) {
    use ssl_session_cache_core::plan::{Auth, Shape};

    let of_sentinels = match &used.store.plan.shape {
        Shape::Sentinel { auth, .. } => auth.as_ref(),
        _ => None,
    };
    for auth in [used.store.plan.auth.as_ref(), of_sentinels].into_iter().flatten() {
        let Auth::InFile(file) = auth else { continue };
        let path = crate::files::path(base, file.name);
        if crate::files::is_open(&path, false) {
            report.warning(
                format!("anybody can read the password in \"{}\"", path.display()),
                &format!("chmod o-r {}", path.display()),
            );
        }
    }
}
