//! Memory that the processes of nginx share.

use core::ffi::c_void;
use core::{mem, ptr};

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_int_t, ngx_module_t, ngx_shared_memory_add, ngx_shm_zone_t,
};

use crate::nginx::borrowed;

/// What nginx calls once it has mapped a zone, or hands over that of the configuration before.
pub(crate) type ZoneInit = unsafe extern "C" fn(*mut ngx_shm_zone_t, *mut c_void) -> ngx_int_t;

/// Adds a zone of a module's to a configuration that has been read, and is not in use yet; `None`
/// without memory.
pub(crate) fn add_shared_zone(
    cycle: &mut ngx_cycle_t,
    module: &ngx_module_t,
    name: &'static str,
    size: usize,
    init: ZoneInit,
) -> Option<()> {
    let mut name = borrowed(name.as_bytes());
    // SAFETY: all-zero is the context of a configuration that is read from no file; nginx asks it for
    // the log, and the list of zones in the cycle. It keeps the name, which is static, and uses the
    // tag as an address only.
    unsafe {
        let mut cf: ngx_conf_t = mem::zeroed();
        cf.log = cycle.log;
        cf.cycle = cycle;
        let tag = ptr::from_ref(module).cast_mut().cast();
        ngx_shared_memory_add(&mut cf, &mut name, size, tag).as_mut()?.init = Some(init);
    }
    Some(())
}
