//! nginx's commands, made from the one table of directives.

use std::ffi::{c_char, c_void};
use std::ptr;

use ngx::core::NGX_CONF_ERROR;
use ngx::ffi::{
    NGX_CONF_1MORE, NGX_CONF_BLOCK, NGX_HTTP_LIF_CONF, NGX_HTTP_LOC_CONF, NGX_HTTP_MAIN_CONF,
    NGX_HTTP_SRV_CONF, NGX_LOG_EMERG, ngx_command_t, ngx_conf_t, ngx_str_t, ngx_uint_t,
};

use crate::config::{Context, DIRECTIVES, Directive, MANY};
use crate::nginx::setup::{order, parse, upstream_block};

const COUNT: usize = DIRECTIVES.len() + 1;

static mut COMMANDS: [ngx_command_t; COUNT] = commands();

/// The table for the module record.
pub(in crate::nginx) const fn table() -> *mut ngx_command_t {
    ptr::addr_of_mut!(COMMANDS).cast()
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler alone")]
const fn commands() -> [ngx_command_t; COUNT] {
    let mut commands = [const { ngx_command_t::empty() }; COUNT];
    let mut at = 0;
    while at < DIRECTIVES.len() {
        let directive = &DIRECTIVES[at];
        let name = directive.name;
        commands[at] = ngx_command_t {
            name: ngx_str_t { len: name.count_bytes(), data: name.as_ptr().cast_mut().cast() },
            type_: flags(directive),
            set: Some(set),
            conf: ngx::ffi::NGX_HTTP_LOC_CONF_OFFSET,
            offset: 0,
            post: ptr::null_mut(),
        };
        at += 1;
    }
    commands
}

const fn flags(directive: &Directive) -> ngx_uint_t {
    let mut flags = match directive.context {
        Context::Location => NGX_HTTP_LOC_CONF | NGX_HTTP_LIF_CONF,
        Context::Any => NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF,
        Context::Http | Context::Upstream => NGX_HTTP_MAIN_CONF,
    };
    if directive.begins_block() {
        flags |= NGX_CONF_BLOCK;
    }
    let (least, largest) = directive.arity;
    if largest == MANY {
        flags |= NGX_CONF_1MORE;
    } else {
        let mut count = least;
        while count <= largest {
            flags |= 1 << count;
            count += 1;
        }
    }
    flags as ngx_uint_t
}

/// The setter of every directive: the place of the command in the table is that of the
/// directive.
unsafe extern "C" fn set(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes an element of the table, its context and a location configuration
    // that `create_loc_conf` made.
    let result = unsafe {
        order::stand_before_copy_filter(cf);
        let at = usize::try_from(command.offset_from(table())).unwrap_or(usize::MAX);
        match DIRECTIVES.get(at) {
            Some(directive) if directive.begins_block() => upstream_block::parse(cf),
            Some(directive) => parse::apply(cf, directive, &mut *conf.cast()).map_err(Some),
            None => Err(Some("an unknown directive".to_owned())),
        }
    };
    match result {
        Ok(()) => ptr::null_mut(),
        Err(sentence) => {
            if let Some(sentence) = sentence {
                ngx::ngx_conf_log_error!(NGX_LOG_EMERG, cf, "{sentence}");
            }
            NGX_CONF_ERROR as *mut c_char
        }
    }
}
