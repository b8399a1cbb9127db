//! The nginx half: the module record, and every piece that touches nginx's types.
//!
//! | room | what it does |
//! |---|---|
//! | [`setup`] | `nginx -t`: directives, blocks, checks, phases, the place among the modules |
//! | [`conf`] | what a configuration holds, to be read by all |
//! | [`http`] | one request: looked up, answered, filled, filtered |
//! | [`worker`] | one process: who is parked, what is asked and written |
//! | [`io`] | nginx's event loop and memory: sockets, TLS, timers, names, the shared zone |
//! | [`sys`] | nginx's structures made safe: requests, responses, lists, strings, clocks |
//!
//! Rooms import downwards, as scripts/check-imports.py has it; `http` and `worker` know each other.
#![allow(unsafe_code)]

mod conf;
mod http;
mod io;
mod setup;
mod sys;
mod worker;

use std::ffi::{c_char, c_void};
use std::ptr::addr_of;

use ngx::ffi::{
    NGX_HTTP_MODULE, ngx_conf_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_uint_t,
};
use ngx::http::{HttpModule, HttpModuleLocationConf, HttpModuleMainConf};

use self::http::{filter, variables};
use self::io::threads::Threads;
use self::io::zone::Zone;
use self::setup::{checks, commands, parse, phases};
use self::sys::{NAME, layout, rc};

/// The marker type for ngx's configuration traits.
struct Module;

impl HttpModule for Module {
    fn module() -> &'static ngx_module_t {
        // SAFETY: nginx writes the record while it loads the module, before any callback runs.
        unsafe { &*addr_of!(ngx_http_redis_cache_module) }
    }
}

// SAFETY: `create_main_conf` of the context below allocates exactly this type.
unsafe impl HttpModuleMainConf for Module {
    type MainConf = conf::MainConf;
}

// SAFETY: `create_loc_conf` of the context below allocates exactly this type.
unsafe impl HttpModuleLocationConf for Module {
    type LocationConf = conf::LocationConf;
}

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(create_main_conf),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(create_loc_conf),
    merge_loc_conf: Some(merge_loc_conf),
};

#[allow(non_upper_case_globals, reason = "the name that nginx prints")]
#[cfg_attr(not(feature = "export-modules"), unsafe(no_mangle))]
static mut ngx_http_redis_cache_module: ngx_module_t = ngx_module_t {
    ctx: addr_of!(CONTEXT) as *mut c_void,
    commands: commands::table(),
    type_: NGX_HTTP_MODULE as ngx_uint_t,
    init_process: Some(worker::init_process),
    exit_process: Some(worker::exit_process),
    ..ngx_module_t::default()
};

/// The tables that nginx looks for in a dynamic module.
#[cfg(feature = "export-modules")]
mod exports {
    #![allow(non_upper_case_globals)]

    use std::ptr::{self, addr_of_mut};

    use super::{c_char, ngx_http_redis_cache_module, ngx_module_t};

    #[unsafe(no_mangle)]
    static mut ngx_modules: [*mut ngx_module_t; 2] =
        [addr_of_mut!(ngx_http_redis_cache_module), ptr::null_mut()];

    #[unsafe(no_mangle)]
    static mut ngx_module_names: [*const c_char; 2] =
        [c"ngx_http_redis_cache_module".as_ptr(), ptr::null()];

    /// Our filters lie right under the copy filter, where a body comes in memory and before any
    /// filter has encoded it or put something of one client's into it; see [`super::setup::order`].
    #[unsafe(no_mangle)]
    static mut ngx_module_order: [*const c_char; 3] = [
        c"ngx_http_redis_cache_module".as_ptr(),
        c"ngx_http_copy_filter_module".as_ptr(),
        ptr::null(),
    ];
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    if let Err(sentence) = layout::verify() {
        ngx::ngx_conf_log_error!(ngx::ffi::NGX_LOG_EMERG, cf, "{NAME}: {sentence}");
        return rc::ERROR;
    }
    // SAFETY: nginx passes its configuration context.
    unsafe { variables::register(cf) }
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes its configuration context; all configurations are merged.
    unsafe {
        if checks::check_fallbacks(cf).is_err() || phases::register(cf).is_err() {
            return rc::ERROR;
        }
        let Some(main) = Module::main_conf_mut(&*cf) else { return rc::ERROR };
        main.zone = Zone::request(cf);
        if main.zone.is_none() {
            return rc::ERROR;
        }
        if main.codes {
            main.threads = Threads::request(cf);
        }
        filter::register();
    }
    rc::OK
}

unsafe extern "C" fn create_main_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes its configuration context.
    unsafe { <Module as HttpModule>::create_main_conf(cf) }
}

unsafe extern "C" fn create_loc_conf(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes its configuration context.
    unsafe {
        let conf = <Module as HttpModule>::create_loc_conf(cf);
        if let Some(conf) = conf.cast::<conf::LocationConf>().as_mut() {
            conf.begins_at = parse::place_of(cf);
        }
        conf
    }
}

unsafe extern "C" fn merge_loc_conf(
    cf: *mut ngx_conf_t,
    around: *mut c_void,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes two configurations that `create_loc_conf` made.
    unsafe { parse::merge(cf, around.cast(), conf.cast()) }
}
