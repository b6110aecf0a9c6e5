//! The key files that records are sealed with.

use std::path::Path;

use ssl_session_cache_core::session::sealed::KeyId;

use crate::files;
use crate::output::Report;
use crate::target::Use;

/// Looks at each key file once.
pub fn check_keys(report: &mut Report, base: &Path, uses: &[Use<'_>]) {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in uses.iter().flat_map(|one| &one.sessions.keys) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    report.title("sealing keys");
    if uses.iter().any(|one| one.sessions.keys.is_empty()) {
        report.warning(
            "sessions are stored in clear: who can read the store can decrypt connections",
            "set key=, with a file that \"ssl-session-cache key new\" has made: docs/sealing.md",
        );
    }
    let mut ids: Vec<KeyId> = Vec::new();
    for name in names {
        let path = files::path(base, name);
        let id = match files::sealing_key(&path) {
            Ok(key) => key.id,
            Err(error) => {
                report.failure(error, "nginx would not start with this");
                continue;
            }
        };
        let line = format!("\"{}\" has key {id}", path.display());
        if ids.contains(&id) {
            let advice = "leave one of the two files out of key=";
            report.failure(format!("{line}, as another file does"), advice);
        } else if files::is_open(&path, true) {
            let advice = format!("chmod 600 {}", path.display());
            report.warning(format!("{line}, and others than its owner can read it"), &advice);
        } else {
            report.ok(line);
        }
        ids.push(id);
    }
}
