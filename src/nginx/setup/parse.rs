//! How directives are read, and what becomes of them where levels meet.

use std::ffi::c_char;
use std::ptr;

use ngx::core::NGX_CONF_ERROR;
use ngx::ffi::{
    NGX_LOG_EMERG, NGX_LOG_WARN, ngx_conf_full_name, ngx_conf_t, ngx_http_compile_complex_value,
    ngx_http_compile_complex_value_t, ngx_http_complex_value_t, ngx_str_t,
};
use ngx::http::{
    HttpModuleLocationConf, HttpModuleMainConf, HttpModuleServerConf, NgxHttpCoreModule,
};

use super::checks;
use crate::config;
use crate::config::{Connections, Directive, Door, Environment, Plan, Template};
use crate::nginx::Module;
use crate::nginx::conf::{ActivePlan, EndpointConf, LocationConf, MainConf, Site};
use crate::nginx::http::handler;
use crate::nginx::io::resolver::Resolver;
use crate::nginx::io::tls::TlsContext;
use crate::nginx::sys::{NAME, bytes_of, rc};
use crate::redis::endpoint::Address;

/// What directives need of nginx.
pub(in crate::nginx) struct ConfEnvironment<'a> {
    pub cf: *mut ngx_conf_t,
    pub templates: &'a mut Vec<ngx_http_complex_value_t>,
}

impl Environment for ConfEnvironment<'_> {
    fn template(&mut self, text: &[u8]) -> Result<Template, String> {
        // SAFETY: `cf` is nginx's context during parsing; the copy of the text lives in its
        // pool as long as the compiled value; an all-zero compiled value is a valid one.
        unsafe {
            let mut text =
                ngx_str_t::from_bytes((*self.cf).pool, text).ok_or("is out of memory")?;
            let mut value: ngx_http_complex_value_t = std::mem::zeroed();
            let mut compile = ngx_http_compile_complex_value_t {
                cf: self.cf,
                value: &raw mut text,
                complex_value: &raw mut value,
                ..std::mem::zeroed()
            };
            if ngx_http_compile_complex_value(&raw mut compile) != rc::OK {
                return Err("has a string whose variables are wrong".to_owned());
            }
            self.templates.push(value);
        }
        Ok(Template(self.templates.len() - 1))
    }

    fn warn(&mut self, sentence: &str) {
        ngx::ngx_conf_log_error!(NGX_LOG_WARN, self.cf, "{NAME}: {sentence}");
    }

    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, String> {
        // SAFETY: `cf` is nginx's context during parsing; the name is copied with a NUL behind
        // it, as ngx_conf_full_name wants it.
        let full = unsafe {
            let with_nul = [path.as_bytes(), b"\0"].concat();
            let mut name =
                ngx_str_t::from_bytes((*self.cf).pool, &with_nul).ok_or("is out of memory")?;
            name.len -= 1;
            if ngx_conf_full_name((*self.cf).cycle, &raw mut name, 1) != rc::OK {
                return Err("is out of memory".to_owned());
            }
            String::from_utf8_lossy(bytes_of(name)).into_owned()
        };
        let size = std::fs::metadata(&full).map(|found| found.len());
        match size.and_then(|size| if size <= 65536 { std::fs::read(&full) } else { Ok(vec![]) }) {
            Ok(content) => Ok(content),
            Err(error) => Err(format!("cannot read {full}: {error}")),
        }
    }
}

/// The directive that is being parsed, and its arguments.
///
/// # Safety
/// `cf` is nginx's context during parsing.
pub(in crate::nginx) unsafe fn words_of<'a>(cf: *mut ngx_conf_t) -> Vec<&'a [u8]> {
    // SAFETY: `cf` is valid, and its arguments are an array of strings.
    unsafe { (*(*cf).args).as_slice::<ngx_str_t>().iter().map(|word| bytes_of(*word)).collect() }
}

/// The file and line that is being parsed.
///
/// # Safety
/// `cf` is nginx's context during parsing.
pub(in crate::nginx) unsafe fn place_of(cf: *mut ngx_conf_t) -> String {
    // SAFETY: `cf` is valid, and its file is null or that which is being read.
    unsafe {
        let Some(file) = (*cf).conf_file.as_ref() else { return String::new() };
        format!("{}:{}", String::from_utf8_lossy(bytes_of(file.file.name)), file.line)
    }
}

/// Applies one directive to a location configuration.
///
/// # Safety
/// `cf` is nginx's context during parsing.
pub(in crate::nginx) unsafe fn apply(
    cf: *mut ngx_conf_t,
    directive: &Directive,
    conf: &mut LocationConf,
) -> Result<(), String> {
    // SAFETY: `cf` is valid; the first of its words is the name of the directive.
    let (context, words, place) = unsafe { (&*cf, words_of(cf), place_of(cf)) };
    let main = Module::main_conf_mut(context).ok_or("there is no http block")?;
    let arguments = words.get(1..).unwrap_or_default();
    let had_handler = conf.settings.pass.is_some();
    let mut environment = ConfEnvironment { cf, templates: &mut main.templates };
    directive.apply(&mut conf.settings, arguments, &mut environment)?;
    if conf.settings.pass.is_some() && matches!(conf.settings.in_place, Some(Some(_))) {
        return Err("\"redis_cache\" and \"redis_cache_pass\" stand in one location: \
            the request would be looked up twice"
            .to_owned());
    }
    if conf.settings.pass.is_some() && !had_handler {
        let core = NgxHttpCoreModule::location_conf_mut(context).ok_or("there is no location")?;
        if core.handler.is_some() {
            return Err(format!("\"redis_cache_pass\" {BESIDE}"));
        }
        core.handler = Some(handler::content_handler);
        conf.written_at = place;
    }
    Ok(())
}

const BESIDE: &str = "stands beside another content handler (proxy_pass, return, memcached_pass, \
    ...) of the same location: move that one into the location of redis_cache_fallback";

/// Merges a location configuration with the level around it.
///
/// # Safety
/// `cf` is nginx's context; the others are configurations that `create_loc_conf` made.
pub(in crate::nginx) unsafe fn merge(
    cf: *mut ngx_conf_t,
    around: *mut LocationConf,
    conf: *mut LocationConf,
) -> *mut c_char {
    // SAFETY: the caller guarantees that all three are valid and distinct.
    let result = unsafe { try_merge(cf, &*around, &mut *conf) };
    match result {
        Ok(()) => ptr::null_mut(),
        Err(sentence) => {
            ngx::ngx_conf_log_error!(NGX_LOG_EMERG, cf, "{NAME}: {sentence}");
            NGX_CONF_ERROR as *mut c_char
        }
    }
}

unsafe fn try_merge(
    cf: *mut ngx_conf_t,
    around: &LocationConf,
    conf: &mut LocationConf,
) -> Result<(), String> {
    conf.settings.inherit(&around.settings);
    // SAFETY: `cf` is nginx's context while it merges; the core module's configurations of
    // this level exist and are merged already.
    let (main, core, server) = unsafe {
        (
            Module::main_conf_mut(&*cf).ok_or("there is no http block")?,
            NgxHttpCoreModule::location_conf_mut(&*cf).ok_or("there is no location")?,
            NgxHttpCoreModule::server_conf_mut(&*cf).ok_or("there is no server")?,
        )
    };
    // `if` and `limit_except` are locations of their own and take the handler over.
    if core.noname() != 0 && conf.settings.pass.is_none() && core.handler.is_none() {
        if let Some(endpoint) = &around.settings.pass {
            conf.settings.pass = Some(endpoint.clone());
            conf.written_at.clone_from(&around.written_at);
            core.handler = Some(handler::content_handler);
        }
    }
    // SAFETY: the core module's configuration is merged.
    let resolver = unsafe { Resolver::of(core) };
    let Some(endpoint) = &conf.settings.pass else {
        plan_in_place(cf, main, conf, resolver)?;
        // SAFETY: `cf` is nginx's context, and the core module's configuration is merged.
        unsafe { checks::warn_of_files(cf, core, conf) };
        return Ok(());
    };
    let place = &conf.written_at;
    if !core.handler.is_some_and(|found| ptr::fn_addr_eq(found, handler::CONTENT_HANDLER)) {
        return Err(format!("\"redis_cache_pass\" in {place} {BESIDE}"));
    }
    let in_place = |sentence| format!("\"redis_cache_pass\" in {place}: {sentence}");
    let plan =
        Plan::new(&conf.settings, Door::Pass, endpoint, &main.upstreams).map_err(in_place)?;
    // SAFETY: `cf` is nginx's context.
    let endpoint = unsafe { main.endpoint(cf, &plan.connections, resolver) }.map_err(in_place)?;
    main.codes |= plan.store.is_some() && plan.compress.is_some();
    // SAFETY: the core module's configuration is merged.
    unsafe { checks::warn_of_bare_error_page(cf, core, &plan) };
    main.sites.push(Site {
        server,
        // SAFETY: the name of a location lives as long as the configuration.
        location: String::from_utf8_lossy(unsafe { bytes_of(core.name) }).into_owned(),
        fallback: plan.fallback.clone(),
        written_at: place.clone(),
    });
    conf.plan = Some(ActivePlan { plan, endpoint });
    Ok(())
}

/// The plan of `redis_cache`.
fn plan_in_place(
    cf: *mut ngx_conf_t,
    main: &mut MainConf,
    conf: &mut LocationConf,
    resolver: Option<Resolver>,
) -> Result<(), String> {
    let Some(Some(endpoint)) = &conf.settings.in_place else { return Ok(()) };
    let named = |sentence| format!("\"redis_cache\": {sentence}");
    let plan =
        Plan::new(&conf.settings, Door::InPlace, endpoint, &main.upstreams).map_err(named)?;
    // SAFETY: `cf` is nginx's context.
    let endpoint = unsafe { main.endpoint(cf, &plan.connections, resolver) }.map_err(named)?;
    main.looks_up_in_place = true;
    main.codes |= plan.store.is_some() && plan.compress.is_some();
    conf.plan = Some(ActivePlan { plan, endpoint });
    Ok(())
}

impl MainConf {
    /// The index of an endpoint; all its uses must agree on its settings.
    ///
    /// # Safety
    /// `cf` is nginx's context during parsing.
    unsafe fn endpoint(
        &mut self,
        cf: *mut ngx_conf_t,
        wanted: &Connections,
        resolver: Option<Resolver>,
    ) -> Result<usize, String> {
        let same = |known: &EndpointConf| known.connections.upstream.is_same_as(&wanted.upstream);
        if let Some(at) = self.endpoints.iter().position(same) {
            let known = self.endpoints.get_mut(at);
            let known = known.map(|known| {
                known.resolver = known.resolver.or(resolver);
                &*known
            });
            return match known.and_then(|known| config::conflict(&known.connections, wanted)) {
                Some(sentence) => Err(sentence),
                None => Ok(at),
            };
        }
        let resolve = |address: &Address| match address.resolve() {
            Ok(found) => Ok((address.clone(), found)),
            Err(error) => Err(format!("cannot resolve {address}: {error}")),
        };
        let addresses: Result<Vec<_>, _> =
            wanted.upstream.addresses().into_iter().map(resolve).collect();
        let (addresses, name) = (addresses?, wanted.upstream.to_string());
        // SAFETY: the caller guarantees it.
        let context = |settings| unsafe { TlsContext::new(cf, settings) };
        let tls = wanted.tls.as_ref().map(context).transpose()?;
        self.endpoints.push(EndpointConf {
            connections: wanted.clone(),
            addresses,
            resolver,
            name,
            tls,
        });
        Ok(self.endpoints.len() - 1)
    }
}
