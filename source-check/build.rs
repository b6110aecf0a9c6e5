//! Looks whether `NGINX_SOURCE_DIR` and `NGINX_BUILD_DIR` name an nginx, and says what to set where they
//! do not.
//!
//! nginx-sys looks as well, and tells of no more than a path. As it has a minute of dependencies to be
//! built first, and this crate has none, this is heard before.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = "NGINX_SOURCE_DIR";
const BUILD: &str = "NGINX_BUILD_DIR";

/// What `.cargo/config.toml` has `NGINX_SOURCE_DIR` be, where nobody says otherwise.
const DEFAULT: &str = "build/nginx-1.28.3/src";

fn main() {
    for name in [SOURCE, BUILD] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Err(what) = check() {
        println!("cargo::error={what}.");
        println!(
            "cargo::error=Set {SOURCE} to the source of the nginx that the module is for, in which \
             ./configure has run, with the options that \"nginx -V\" shows, and {BUILD} to what that \
             has made, by itself {SOURCE}/objs. Or run \"make\" or ci/build, which do all of it."
        );
    }
}

/// What nginx-sys demands of the folders, and that the one belongs to the other.
fn check() -> Result<(), String> {
    let named = |name| env::var_os(name).map(PathBuf::from);
    let (source, build) = match (named(SOURCE), named(BUILD)) {
        (Some(source), build) => (source.clone(), build.unwrap_or_else(|| source.join("objs"))),
        (None, Some(build)) => (build.join(".."), build),
        (None, None) => return Err(format!("neither {SOURCE} nor {BUILD} is set")),
    };
    for (name, folder) in [(SOURCE, &source), (BUILD, &build)] {
        // What cargo runs for a crate runs in its folder.
        if folder.is_relative() {
            return Err(format!("{name} is no absolute path, but {}", folder.display()));
        }
    }
    let shown = source.display();
    if !is_source(&source) {
        return Err(match source.ends_with(DEFAULT) {
            true => format!("{SOURCE} is not set, and ci/build has made no nginx in {shown}"),
            false => format!("no source of nginx is in {SOURCE}, which is {shown}"),
        });
    }
    let header = build.join("ngx_auto_config.h");
    if !header.is_file() || !build.join("Makefile").is_file() {
        return Err(format!("./configure has not run for {BUILD}, which is {}", build.display()));
    }
    println!("cargo::rerun-if-changed={}", header.display());

    let other = build.join("..");
    if is_source(&other) && fs::canonicalize(&other).ok() != fs::canonicalize(&source).ok() {
        return Err(format!(
            "{BUILD}, which is {}, is of another nginx than {SOURCE}, which is {shown}",
            build.display()
        ));
    }
    Ok(())
}

fn is_source(folder: &Path) -> bool {
    folder.join("src/core/nginx.h").is_file()
}
