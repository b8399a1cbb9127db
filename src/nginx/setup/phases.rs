//! Handlers of nginx's phases: where a request meets this module before it is answered.

use ngx::ffi::{
    ngx_array_push, ngx_conf_t, ngx_http_core_main_conf_t, ngx_http_handler_pt,
    ngx_http_phases_NGX_HTTP_POST_READ_PHASE as POST_READ,
    ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE as PRECONTENT,
    ngx_http_phases_NGX_HTTP_REWRITE_PHASE as REWRITE,
};
use ngx::http::{HttpModuleMainConf, NgxHttpCoreModule};

use crate::nginx::conf::MainConf;
use crate::nginx::http::in_place::on_precontent;
use crate::nginx::http::post_read::{on_client_request, on_location};

/// Adds the handlers of all phases; that of `redis_cache` only where some location has it.
///
/// # Safety
/// `cf` is nginx's context in postconfiguration.
pub(in crate::nginx) unsafe fn register(cf: *mut ngx_conf_t) -> Result<(), ()> {
    // SAFETY: the caller guarantees it.
    let cf = unsafe { &*cf };
    let core = NgxHttpCoreModule::main_conf_mut(cf).ok_or(())?;
    add(core, POST_READ as usize, Some(on_client_request))?;
    add(core, REWRITE as usize, Some(on_location))?;
    match MainConf::of(cf) {
        Some(main) if main.looks_up_in_place => add(core, PRECONTENT as usize, Some(on_precontent)),
        _ => Ok(()),
    }
}

fn add(
    core: &mut ngx_http_core_main_conf_t,
    phase: usize,
    handler: ngx_http_handler_pt,
) -> Result<(), ()> {
    let phase = core.phases.get_mut(phase).ok_or(())?;
    // SAFETY: the array is initialised before postconfiguration; the push gives room for one
    // handler, or null.
    unsafe {
        let place = ngx_array_push(&raw mut phase.handlers).cast::<ngx_http_handler_pt>();
        if place.is_null() {
            return Err(());
        }
        place.write(handler);
    }
    Ok(())
}
