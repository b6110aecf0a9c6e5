//! Passes on what nginx-sys found out about the nginx that the module is built for, makes bindings of
//! its stream{} and mail{}, and sets how the shared object is linked.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    nginx_features();
    bindings();
    link_arguments();
}

/// Makes the features of nginx known as `cfg(ngx_feature = "...")`.
fn nginx_features() {
    let known = env::var("DEP_NGINX_FEATURES_CHECK").unwrap_or_else(|_| "any()".to_owned());
    println!("cargo::rustc-check-cfg=cfg(ngx_feature, values({known}))");

    let enabled = env::var("DEP_NGINX_FEATURES").unwrap_or_default();
    for feature in enabled.split(',').filter(|feature| !feature.is_empty()) {
        println!("cargo::rustc-cfg=ngx_feature=\"{feature}\"");
    }
}

/// Makes bindings of what nginx-sys has none of. nginx's sources come with all headers, whatever it is
/// configured with.
fn bindings() {
    const HEADER: &str = "src/nginx/bindings.h";

    println!("cargo::rerun-if-changed={HEADER}");
    let include = env::var_os("DEP_NGINX_INCLUDE").expect("nginx-sys tells where headers are");
    let mut folders: Vec<PathBuf> = env::split_paths(&include).collect();
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

    // Servers of stream{} have names, and what they listen on has several of them (ngx_stream.h).
    println!("cargo::rustc-check-cfg=cfg(stream_server_names, stream_ocsp)");
    let version: u32 = env::var("DEP_NGINX_VERSION_NUMBER")
        .ok()
        .and_then(|version| version.parse().ok())
        .expect("nginx-sys tells the version");
    if version >= 1_025_005 {
        println!("cargo::rustc-cfg=stream_server_names");
    }
    // `ssl_ocsp` in stream{} (ngx_stream_ssl_module.h).
    if version >= 1_027_002 {
        println!("cargo::rustc-cfg=stream_ocsp");
    }
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
