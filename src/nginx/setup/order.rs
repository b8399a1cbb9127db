//! The place of this module among nginx's: its filters have to be the first that see what the
//! application sent.
//!
//! Filters run in the reverse order of the list of modules. Every filter module that is not nginx's own
//! is put right before the copy filter (its `ngx_module_order`, or HTTP_AUX_FILTER), so one that is
//! loaded after this module would come between the two, and what it makes of a page for one client
//! would be stored for all.

use std::ffi::CStr;
use std::ptr::addr_of_mut;

use ngx::ffi::{ngx_conf_t, ngx_module_t};

use crate::nginx::ngx_http_redis_cache_module;

const COPY_FILTER: &CStr = c"ngx_http_copy_filter_module";

/// The modules of a configuration in their order.
///
/// # Safety
/// `cf` is nginx's context.
pub(in crate::nginx) unsafe fn modules<'a>(cf: *mut ngx_conf_t) -> &'a mut [*mut ngx_module_t] {
    // SAFETY: the list of modules of a cycle ends with a null pointer.
    unsafe {
        let first = (*(*cf).cycle).modules;
        if first.is_null() {
            return &mut [];
        }
        let mut length = 0;
        while !(*first.add(length)).is_null() {
            length += 1;
        }
        std::slice::from_raw_parts_mut(first, length)
    }
}

/// Whether a module of the list is called `name`.
///
/// # Safety
/// The module is one that nginx has loaded.
pub(in crate::nginx) unsafe fn is_called(module: *mut ngx_module_t, name: &CStr) -> bool {
    // SAFETY: the caller guarantees it; names are C strings.
    unsafe { !(*module).name.is_null() && CStr::from_ptr((*module).name) == name }
}

/// Moves this module right before the copy filter, behind those that were loaded after it.
///
/// # Safety
/// `cf` is nginx's context while it reads a directive: then nobody is in the middle of the list, which
/// nginx goes through before it reads a block and after it.
pub(in crate::nginx) unsafe fn stand_before_copy_filter(cf: *mut ngx_conf_t) {
    // SAFETY: the caller guarantees it.
    let modules = unsafe { modules(cf) };
    let ours = addr_of_mut!(ngx_http_redis_cache_module);
    let at = modules.iter().position(|&module| module == ours);
    // SAFETY: every module of the list is loaded.
    let copy = modules.iter().position(|&module| unsafe { is_called(module, COPY_FILTER) });
    if let (Some(at), Some(copy)) = (at, copy) {
        if let Some(between) = modules.get_mut(at..copy) {
            between.rotate_left(1);
        }
    }
}
