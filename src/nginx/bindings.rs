//! The structures of nginx's stream{} and mail{}, as the headers of the build have them (see build.rs).
//! No function or variable of theirs: what refers to one does not load where nginx lacks them.

#![allow(dead_code, missing_docs, non_camel_case_types, non_upper_case_globals)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

use nginx_sys::*;

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
