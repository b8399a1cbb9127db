//! What `nginx -t` checks beside the values of directives: where fallbacks lead, and what answers
//! behind them.

use std::ffi::CStr;
use std::ptr::NonNull;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_LOG_WARN, ngx_array_t, ngx_conf_t, ngx_http_conf_ctx_t,
    ngx_http_core_loc_conf_t, ngx_http_core_srv_conf_t, ngx_http_err_page_t,
    ngx_http_location_queue_t,
};
use ngx::http::HttpModuleMainConf;

use crate::config::{Plan, fallback_cycle};
use crate::nginx::Module;
use crate::nginx::conf::{LocationConf, MainConf, Site};
use crate::nginx::setup::order::{is_called, modules};
use crate::nginx::sys::{NAME, bytes_of};

/// Warns of `error_page 404 @name` without `=`: it would send every miss with the status 404.
pub(in crate::nginx) unsafe fn warn_of_bare_error_page(
    cf: *mut ngx_conf_t,
    core: &ngx_http_core_loc_conf_t,
    plan: &Plan,
) {
    let Some(pages) = NonNull::new(core.error_pages) else { return };
    // SAFETY: nginx's array of this type; its strings live as long as the configuration.
    let bare = unsafe {
        pages.as_ref().as_slice::<ngx_http_err_page_t>().iter().any(|page| {
            page.status == 404
                && page.overwrite == -1
                && bytes_of(page.value.value).first() == Some(&b'@')
        })
    };
    if bare && plan.fallback.is_none() {
        ngx::ngx_conf_log_error!(
            NGX_LOG_WARN,
            cf,
            "{NAME}: \"error_page 404 @name\" without \"=\" sends every miss with the status 404: \
             write \"error_page 404 = @name\", or better redis_cache_fallback @name"
        );
    }
}

/// Warns where answers are stored and nginx makes them itself, out of files: a location without a
/// content handler. What `return` and its kin say comes before, so that nothing is known where
/// they stand; `if` and `limit_except` go on to the handler of the location around them, and what
/// is `internal` mostly answers after error_page or X-Accel-Redirect, and is not stored then. A
/// server answers by itself what none of its locations takes.
///
/// # Safety
/// `cf` is nginx's context while it merges `core` and `conf` of one level.
pub(in crate::nginx) unsafe fn warn_of_files(
    cf: *mut ngx_conf_t,
    core: &ngx_http_core_loc_conf_t,
    conf: &LocationConf,
) {
    let stores = conf.plan.as_ref().is_some_and(|active| active.plan.store.is_some());
    if !stores || core.handler.is_some() || core.noname() != 0 || core.internal == 1 {
        return;
    }
    // SAFETY: the caller guarantees it; the name of a location lives as long as the configuration.
    let (name, elsewhere) = unsafe {
        let name = String::from_utf8_lossy(bytes_of(core.name));
        (name, has_rewrite_code(cf) || (core.name.len == 0 && takes_everything(core)))
    };
    if elsewhere {
        return;
    }
    let place = match &*name {
        "" => "outside the locations of the server".to_owned(),
        name => format!("in location \"{name}\""),
    };
    ngx::ngx_conf_log_error!(
        NGX_LOG_WARN,
        cf,
        "{NAME}: redis_cache_store on is in force {place} in {}, where no proxy_pass, fastcgi_pass \
         or the like answers: every file there is asked for in Redis, and stored for \
         redis_cache_valid. Write \"redis_cache off\" there, or redis_cache beside the handler",
        conf.begins_at
    );
}

/// Whether the level has directives of nginx's rewrite module.
unsafe fn has_rewrite_code(cf: *mut ngx_conf_t) -> bool {
    // SAFETY: the caller's context is that of the level; the configuration of the rewrite module
    // begins with the array of its code in every version of nginx that this module supports.
    unsafe {
        let Some(at) = find_module(cf, c"ngx_http_rewrite_module") else { return false };
        let context = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let codes = (*(*context).loc_conf.add(at)).cast::<*mut ngx_array_t>();
        !codes.is_null() && !(*codes).is_null()
    }
}

/// Whether one of the locations on a level is `location /`.
unsafe fn takes_everything(core: &ngx_http_core_loc_conf_t) -> bool {
    let Some(head) = NonNull::new(core.locations) else { return false };
    // SAFETY: a ring of nginx, whose elements but the head begin with their place in it; a
    // prefix is in `inclusive`.
    unsafe {
        let mut place = (*head.as_ptr()).next;
        while place != head.as_ptr() {
            let location = (*place.cast::<ngx_http_location_queue_t>()).inclusive;
            if location.as_ref().is_some_and(|location| bytes_of(location.name) == b"/") {
                return true;
            }
            place = (*place).next;
        }
    }
    false
}

/// Refuses fallbacks that name no location of their server, or lead back to where they began;
/// nginx itself would find out at the first request, and answer 500.
///
/// # Safety
/// `cf` is nginx's context, with all configurations merged and locations initialised.
pub(in crate::nginx) unsafe fn check_fallbacks(cf: *mut ngx_conf_t) -> Result<(), ()> {
    // SAFETY: the caller guarantees it.
    let Some(main) = Module::main_conf_mut(unsafe { &*cf }) else { return Err(()) };
    // SAFETY: as above.
    main.gunzip_index = unsafe { find_module(cf, c"ngx_http_gunzip_filter_module") };
    for site in &main.sites {
        let Some(fallback) = &site.fallback else { continue };
        // SAFETY: the server's configuration lives as long as `cf`.
        let sentence = if !unsafe { has_named_location(site.server, fallback) } {
            format!("names {fallback}, and its server has no such location")
        } else if fallback_cycle(fallback, |name| main.fallback_of(site.server, name))
            || *fallback == site.location
        {
            format!("names {fallback}, which leads back to itself")
        } else {
            continue;
        };
        ngx::ngx_conf_log_error!(
            NGX_LOG_EMERG,
            cf,
            "\"redis_cache_fallback\" of the redis_cache_pass in {} {sentence}",
            site.written_at
        );
        return Err(());
    }
    Ok(())
}

impl MainConf {
    fn fallback_of(&self, server: *mut ngx_http_core_srv_conf_t, location: &str) -> Option<&str> {
        let here = |site: &&Site| site.server == server && site.location == location;
        self.sites.iter().find(here).and_then(|site| site.fallback.as_deref())
    }
}

unsafe fn has_named_location(server: *mut ngx_http_core_srv_conf_t, name: &str) -> bool {
    // SAFETY: the list of named locations is null, or ends with a null pointer.
    unsafe {
        let mut place = (*server).named_locations;
        while !place.is_null() && !(*place).is_null() {
            if bytes_of((**place).name) == name.as_bytes() {
                return true;
            }
            place = place.add(1);
        }
    }
    false
}

/// The place of a module of nginx among the location configurations.
unsafe fn find_module(cf: *mut ngx_conf_t, name: &CStr) -> Option<usize> {
    // SAFETY: the caller passes nginx's context; every module of the list is loaded.
    unsafe {
        let is_wanted = |&module: &_| is_called(module, name);
        modules(cf).iter().copied().find(is_wanted).map(|module| (*module).ctx_index)
    }
}
