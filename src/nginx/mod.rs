//! The nginx half: the module record, and every piece that touches nginx's types.
//!
//! | room | what it does |
//! |---|---|
//! | [`commands`] | nginx's commands, made from the one table of directives |
//! | [`order`] | where this module stands among nginx's |
//! | [`conf`] | configuration of http and location levels, checks at `nginx -t` |
//! | [`upstream_block`] | the block of `redis_cache_upstream` |
//! | [`checks`] | what `nginx -t` checks across them |
//! | [`request`] | a view of a request: headers, key text, facts |
//! | [`list`] | nginx's header lists: reading, adding, removing |
//! | [`context`] | the life of one lookup, kept beside its request |
//! | [`handler`] | a lookup: begin, park, resume, decide; the door of `redis_cache_pass` |
//! | [`in_place`] | the door of `redis_cache` |
//! | [`serve`] | a hit becomes a response |
//! | [`fallback`] | everything else goes to the application |
//! | [`fill`] | what an answer needs to be stored, and where it goes |
//! | [`conditions`] | conditions and ranges of the client and of the fill |
//! | [`filter`] | nginx's filters: Cache-Status, and the way to [`answer`] |
//! | [`answer`] | the application's answer: stored, held, or replaced |
//! | [`response`] | a view of that answer |
//! | [`collect`] | its body |
//! | [`revalidate`] | a stored page that the application confirms |
//! | [`hold`] | an answer that waits for its invalidation |
//! | [`worker`] | what one worker process holds; the seam between handler and engines |
//! | [`desk`] | who waits, and where the engines leave answers |
//! | [`writer`] | writes on their way to Redis |
//! | [`events`] | its events: resume, flush, deadline |
//! | [`memory`] | the memory of values, bounded |
//! | [`upstream`] | the event engine: the servers of one endpoint |
//! | [`upkeep`] | what it finds out about them: errands, names |
//! | [`client`] | connections to one server |
//! | [`connection`] | one of them: connecting, writing, reading, its end |
//! | [`delivery`] | a reply to everybody who waits for it |
//! | [`socket`] | one socket on nginx's event loop |
//! | [`names`] | names of servers, resolved by nginx's resolver |
//! | [`tls`] | TLS on a socket; `no_tls` stands in where nginx has no OpenSSL |
//! | [`phases`] | which handlers run in which phase of nginx |
//! | [`post_read`] | the client's own X-Redis-Cache-Key is removed |
//! | [`variables`] | `$redis_cache_*` |
//! | [`layout`] | Rust's idea of nginx's structures, checked against the C compiler's |
#![allow(unsafe_code)]

mod answer;
mod checks;
mod client;
mod collect;
mod commands;
mod conditions;
mod conf;
mod connection;
mod context;
mod delivery;
mod desk;
mod events;
mod fallback;
mod fill;
mod filter;
mod handler;
mod hold;
mod in_place;
mod layout;
mod list;
mod memory;
mod names;
mod order;
mod phases;
mod post_read;
mod request;
mod response;
mod revalidate;
mod said;
mod serve;
mod shared;
mod socket;
#[cfg_attr(not(ngx_feature = "ssl"), path = "no_tls.rs")]
mod tls;
mod upkeep;
mod upstream;
mod upstream_block;
mod variables;
mod worker;
mod writer;

use std::ffi::{c_char, c_void};
use std::ptr::addr_of;
use std::time::{SystemTime, UNIX_EPOCH};

use ngx::ffi::{
    NGX_HTTP_MODULE, ngx_conf_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_str_t, ngx_uint_t,
};
use ngx::http::{HttpModule, HttpModuleLocationConf, HttpModuleMainConf};

/// nginx's return codes, in the type that its functions use.
mod rc {
    use ngx::ffi::ngx_int_t;

    pub const OK: ngx_int_t = ngx::ffi::NGX_OK as ngx_int_t;
    pub const ERROR: ngx_int_t = ngx::ffi::NGX_ERROR as ngx_int_t;
    pub const DONE: ngx_int_t = ngx::ffi::NGX_DONE as ngx_int_t;
    pub const DECLINED: ngx_int_t = ngx::ffi::NGX_DECLINED as ngx_int_t;
    pub const INTERNAL_SERVER_ERROR: ngx_int_t =
        ngx::ffi::NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
}

/// nginx could not give memory.
struct OutOfMemory;

/// The name in the error log.
const NAME: &str = "redis_cache";

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
    /// filter has encoded it or put something of one client's into it; see [`super::order`].
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
        main.zone = shared::Zone::request(cf);
        if main.zone.is_none() {
            return rc::ERROR;
        }
        filter::register(main);
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
            conf.begins_at = conf::place_of(cf);
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
    unsafe { conf::merge(cf, around.cast(), conf.cast()) }
}

/// The time in milliseconds since 1970.
fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// nginx's own clock in milliseconds: it stands still in a turn of the event loop, and is the same
/// for all workers.
fn now_of_nginx() -> usize {
    // SAFETY: a plain value, which nothing changes in the middle of a callback.
    unsafe { ngx::ffi::ngx_current_msec }
}

/// The bytes of an nginx string.
///
/// # Safety
/// The string is empty, or its bytes live and do not change for `'a`.
unsafe fn bytes_of<'a>(string: ngx_str_t) -> &'a [u8] {
    if string.len == 0 || string.data.is_null() {
        return &[];
    }
    // SAFETY: the caller guarantees it.
    unsafe { std::slice::from_raw_parts(string.data, string.len) }
}

/// An nginx string over bytes that Rust owns. nginx does not write through it.
fn str_over(bytes: &[u8]) -> ngx_str_t {
    ngx_str_t { len: bytes.len(), data: bytes.as_ptr().cast_mut() }
}
