//! The block `remote_ssl_session_store`: a store with a name, which http, stream and mail share.

use core::ffi::{c_char, c_void};
use core::ptr;

use nginx_sys::{
    ngx_command_t, ngx_conf_include, ngx_conf_parse, ngx_conf_t, ngx_uint_t, NGX_CONF_BLOCK,
    NGX_CONF_TAKE1, NGX_DIRECT_CONF, NGX_MAIN_CONF,
};
use ngx::core::NGX_CONF_OK;
use ngx::ngx_string;
use ssl_session_cache_core::plan::{text, Block, PlanError, StorePlan};

use crate::conf::cycle::CycleConf;
use crate::conf::error::ConfError;
use crate::conf::line::Line;
use crate::conf::{refuse, store, words};
use crate::net::Resolver;
use crate::nginx::BLOCK_NAME;
use crate::store::StoreConf;

/// The core module's directives.
pub(crate) static mut COMMANDS: [ngx_command_t; 2] = [
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_store"),
        type_: (NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_BLOCK | NGX_CONF_TAKE1) as ngx_uint_t,
        set: Some(set_store),
        ..ngx_command_t::empty()
    },
    ngx_command_t::empty(),
];

/// Reads the block.
unsafe extern "C" fn set_store(
    cf: *mut ngx_conf_t,
    _cmd: *mut ngx_command_t,
    _conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls this with its configuration context; the words are used only while the
    // configuration is read.
    let (cf, words) = unsafe { (&mut *cf, words(&*cf)) };
    let name = words[1];
    let mut block = match begin(cf, name) {
        Ok(block) => block,
        Err(error) => return refuse(cf, BLOCK_NAME, &error),
    };

    let line = Line::of(cf);
    let outer = *cf;
    cf.handler = Some(set_word);
    cf.handler_conf = (&raw mut block).cast();
    // SAFETY: the block is there until nginx has read all of it.
    let rc = unsafe { ngx_conf_parse(cf, ptr::null_mut()) };
    *cf = outer;
    if rc != NGX_CONF_OK {
        return rc;
    }

    match end(cf, name, block, line) {
        Ok(()) => NGX_CONF_OK,
        Err(error) => refuse(cf, BLOCK_NAME, &error),
    }
}

/// Takes a line of the block.
unsafe extern "C" fn set_word(
    cf: *mut ngx_conf_t,
    cmd: *mut ngx_command_t,
    block: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx calls this with its configuration context and with what set_store() has made;
    // the words are used only while the configuration is read.
    unsafe {
        let words = words(&*cf);
        if matches!(words[..], [b"include", _]) {
            return ngx_conf_include(cf, cmd, block);
        }
        match (*block.cast::<Block<'_>>()).set(words[0], &words[1..]) {
            Ok(()) => NGX_CONF_OK,
            Err(error) => refuse(&mut *cf, BLOCK_NAME, &error.into()),
        }
    }
}

fn begin<'a>(cf: &ngx_conf_t, name: &'a [u8]) -> Result<Block<'a>, ConfError> {
    let block = Block::new(name)?;
    match CycleConf::being_read(cf).named(name) {
        Some(_) => Err(ConfError::Defined(text(name))),
        None => Ok(block),
    }
}

fn end(cf: &mut ngx_conf_t, name: &[u8], block: Block<'_>, line: Line) -> Result<(), ConfError> {
    let plan = block.plan()?;
    let conf = CycleConf::being_read(cf);
    let fallback = plan.fallback.map(|name| conf.defined("fallback", name)).transpose()?;
    if let Some(fallback) = &fallback {
        // It has half of the time of this store: a server that takes all of that must count as late.
        if fallback.settings().timeout > plan.timeout * 2 {
            let value = text(plan.fallback.unwrap_or_default());
            let expected = "a store with a \"timeout\" of at most twice that of this one";
            return Err(PlanError::Invalid { name: "fallback", value, expected }.into());
        }
        if plan.site.is_some() && plan.site == fallback.settings().site {
            let value = plan.site.map(|site| site.to_string()).unwrap_or_default();
            let expected = "another number than that of the fallback";
            return Err(PlanError::Invalid { name: "site", value, expected }.into());
        }
    }
    let settings = store::settings(cf, BLOCK_NAME, Some(text(name)), &plan)?;
    let resolver = resolver(cf, &plan)?;
    conf.define(StoreConf::new(settings, resolver, fallback), line);
    Ok(())
}

/// The store's own resolver.
fn resolver(cf: &mut ngx_conf_t, plan: &StorePlan<'_>) -> Result<Option<Resolver>, ConfError> {
    if plan.resolver.is_empty() {
        return Ok(None);
    }
    // SAFETY: the words are in the pool of the configuration.
    let resolver = unsafe { Resolver::create(cf, &plan.resolver) };
    resolver.map(Some).ok_or(ConfError::Resolver)
}
