//! Passes on what nginx-sys found out about the nginx that the module is built for, and sets how
//! the shared object is linked.

use std::env;

fn main() {
    nginx_features();
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

fn link_arguments() {
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // The symbols of nginx and OpenSSL are found when nginx loads the module.
        Ok("macos") => println!("cargo::rustc-cdylib-link-arg=-Wl,-undefined,dynamic_lookup"),
        // OpenSSL keeps the addresses of the module's callbacks for the life of the process: a
        // reload that drops the module must not unmap it.
        _ => println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete"),
    }
}
