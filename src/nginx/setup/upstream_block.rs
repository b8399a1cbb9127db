//! The block of `redis_cache_upstream`.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::core::NGX_CONF_ERROR;
use ngx::ffi::{NGX_LOG_EMERG, ngx_command_t, ngx_conf_parse, ngx_conf_t};
use ngx::http::HttpModuleMainConf;

use super::parse::{ConfEnvironment, words_of};
use crate::config::{UpstreamSettings, in_upstream, is_upstream_name};
use crate::nginx::Module;
use crate::nginx::conf::MainConf;

/// What the handler of the directives in a block works on.
struct Block<'a> {
    main: &'a mut MainConf,
    upstream: UpstreamSettings,
}

/// Reads a block; nginx has read its name and the brace behind it. An error that nginx itself
/// has reported has no sentence.
///
/// # Safety
/// `cf` is nginx's context during parsing.
pub(in crate::nginx) unsafe fn parse(cf: *mut ngx_conf_t) -> Result<(), Option<String>> {
    // SAFETY: the caller guarantees it.
    let (context, words) = unsafe { (&*cf, words_of(cf)) };
    let main = Module::main_conf_mut(context).ok_or("there is no http block".to_owned())?;
    let name = name_of(&words, main)?;
    let mut block = Block { main, upstream: UpstreamSettings::new(&name) };
    // SAFETY: the caller guarantees it. The directives in the block are read before this
    // returns, by a copy of the context as nginx's own blocks make it.
    unsafe {
        let before = *cf;
        (*cf).handler = Some(directive);
        (*cf).handler_conf = (&raw mut block).cast::<c_void>();
        let parsed = ngx_conf_parse(cf, ptr::null_mut());
        *cf = before;
        if !parsed.is_null() {
            return Err(None);
        }
    }
    let Block { main, upstream } = block;
    upstream
        .upstream()
        .map_err(|sentence| format!("\"redis_cache_upstream {name}\" {sentence}"))?;
    main.upstreams.push(upstream);
    Ok(())
}

fn name_of(words: &[&[u8]], main: &MainConf) -> Result<String, String> {
    let name = String::from_utf8_lossy(words.get(1).copied().unwrap_or_default()).into_owned();
    if !is_upstream_name(&name) {
        return Err(format!(
            "\"redis_cache_upstream\" has the name \"{name}\", but must have one of letters, \
             digits, \"_\", \"-\" and \".\", and not \"off\""
        ));
    }
    if main.upstreams.iter().any(|known| known.name == name) {
        return Err(format!("\"redis_cache_upstream {name}\" is duplicate"));
    }
    Ok(name)
}

/// nginx's handler of a directive in the block.
unsafe extern "C" fn directive(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the context and what `parse` left in it, during that call.
    let (words, block) = unsafe { (words_of(cf), &mut *conf.cast::<Block<'_>>()) };
    let (name, arguments) = words.split_first().map_or((&b""[..], &[][..]), |(n, rest)| (*n, rest));
    let applied = match in_upstream(name) {
        Some(directive) => {
            let templates = &mut block.main.templates;
            let mut environment = ConfEnvironment { cf, templates };
            directive.apply_to_upstream(&mut block.upstream, arguments, &mut environment)
        }
        None => Err(format!(
            "unknown directive \"{}\" in redis_cache_upstream",
            String::from_utf8_lossy(name)
        )),
    };
    match applied {
        Ok(()) => ptr::null_mut(),
        Err(sentence) => {
            ngx::ngx_conf_log_error!(NGX_LOG_EMERG, cf, "{sentence}");
            NGX_CONF_ERROR as *mut c_char
        }
    }
}
