//! What `nginx -t` checks beside the values of directives: where fallbacks lead.

use std::ptr::NonNull;

use ngx::ffi::{
    NGX_LOG_EMERG, NGX_LOG_WARN, ngx_conf_t, ngx_http_core_loc_conf_t, ngx_http_core_srv_conf_t,
    ngx_http_err_page_t,
};
use ngx::http::HttpModuleMainConf;

use super::conf::{MainConf, Site};
use super::order::{is_called, modules};
use super::{Module, NAME, bytes_of};
use crate::config::{Plan, fallback_cycle};

/// Warns of `error_page 404 @name` without `=`: it would send every miss with the status 404.
pub(super) unsafe fn warn_of_bare_error_page(
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

/// Refuses fallbacks that name no location of their server, or lead back to where they began;
/// nginx itself would find out at the first request, and answer 500.
///
/// # Safety
/// `cf` is nginx's context, with all configurations merged and locations initialised.
pub(super) unsafe fn check_fallbacks(cf: *mut ngx_conf_t) -> Result<(), ()> {
    // SAFETY: the caller guarantees it.
    let Some(main) = Module::main_conf_mut(unsafe { &*cf }) else { return Err(()) };
    // SAFETY: as above.
    main.gunzip_index = unsafe { find_gunzip(cf) };
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

/// The place of nginx's gunzip filter among the location configurations.
unsafe fn find_gunzip(cf: *mut ngx_conf_t) -> Option<usize> {
    // SAFETY: the caller passes nginx's context; every module of the list is loaded.
    unsafe {
        let is_gunzip = |&module: &_| is_called(module, c"ngx_http_gunzip_filter_module");
        modules(cf).iter().copied().find(is_gunzip).map(|module| (*module).ctx_index)
    }
}
