//! Passes on what nginx-sys found out about the nginx that the module is built for, makes bindings of
//! its stream{} and mail{}, and sets how the shared object is linked.
//!
//! Whether there is an nginx at all, `source-check` has looked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::exit;

fn main() {
    nginx_features();
    nginx_version();
    bindings();
    link_arguments();
}

/// Makes the features of nginx known as `cfg(ngx_feature = "...")`.
fn nginx_features() {
    println!("cargo::rustc-check-cfg=cfg(ngx_feature, values({}))", metadata("FEATURES_CHECK"));

    let enabled = metadata("FEATURES");
    let enabled: Vec<_> = enabled.split(',').filter(|feature| !feature.is_empty()).collect();
    for feature in &enabled {
        println!("cargo::rustc-cfg=ngx_feature=\"{feature}\"");
    }
    if !["http", "http_ssl"].iter().all(|needed| enabled.contains(needed)) {
        println!(
            "cargo::error=the nginx in {} was configured without --with-http_ssl_module, which the \
             module needs: run ./configure there again, with it, or set NGINX_SOURCE_DIR and \
             NGINX_BUILD_DIR to another nginx.",
            metadata("BUILD_DIR")
        );
        exit(1);
    }
}

/// What the version of nginx is, and what its structures have by that.
fn nginx_version() {
    println!("cargo::rustc-env=NGINX_VERSION={}", metadata("VERSION"));

    let version: u32 = metadata("VERSION_NUMBER").parse().expect("nginx-sys tells a number");
    let additions = [
        // Sockets of http{} are for QUIC, whether or not the headers are of an nginx with HTTP/3
        // (ngx_http_core_module.h).
        ("http_quic", 1_025_000),
        // Servers of stream{} have names, and what they listen on has several of them (ngx_stream.h).
        ("stream_server_names", 1_025_005),
        // `ssl_ocsp` in stream{} (ngx_stream_ssl_module.h).
        ("stream_ocsp", 1_027_002),
    ];
    for (name, since) in additions {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if version >= since {
            println!("cargo::rustc-cfg={name}");
        }
    }
}

/// Makes bindings of what nginx-sys has none of. nginx's sources come with all headers, whatever it is
/// configured with.
fn bindings() {
    const HEADER: &str = "src/nginx/bindings.h";

    println!("cargo::rerun-if-changed={HEADER}");
    let mut folders: Vec<PathBuf> = env::split_paths(&metadata("INCLUDE")).collect();
    let core = folders.iter().find(|folder| folder.ends_with("src/core"));
    let sources = core.and_then(|core| core.parent()).expect("nginx has src/core").to_owned();
    folders.extend(["stream", "mail"].map(|name| sources.join(name)));
    let flags = env::var("DEP_NGINX_CFLAGS").unwrap_or_default();

    let rust_version = env::var("CARGO_PKG_RUST_VERSION")
        .ok()
        .and_then(|version| version.parse().ok())
        .expect("bindgen knows the oldest Rust that will do");

    let bindings = bindgen::Builder::default()
        .header(HEADER)
        .clang_args(folders.iter().map(|folder| format!("-I{}", folder.display())))
        .clang_args(flags.split_whitespace())
        .allowlist_type("ngx_(stream|mail)_.*")
        .allowlist_var("NGX_(STREAM|MAIL)_.*")
        .allowlist_recursively(false)
        .layout_tests(false)
        .rust_target(rust_version)
        .use_core()
        .generate()
        .expect("bindings of nginx's stream and mail");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    bindings.write_to_file(Path::new(&out).join("bindings.rs")).expect("bindings are written");
}

fn link_arguments() {
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // The symbols of nginx and OpenSSL are found when nginx loads the module.
        Ok("macos") => println!("cargo::rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup"),
        // OpenSSL keeps the addresses of the module's callbacks for the life of the process: a
        // reload that drops the module must not unmap it.
        _ => println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete"),
    }
}

/// What nginx-sys tells of nginx.
fn metadata(name: &str) -> String {
    let name = format!("DEP_NGINX_{name}");
    env::var(&name).unwrap_or_else(|error| panic!("{name} of nginx-sys: {error}"))
}
