//! nginx keeps the value of most variables once somebody has asked for it.

use ngx::ffi::ngx_http_variable_t;
use ngx::http::{HttpModuleMainConf, NgxHttpCoreModule};

use crate::nginx::sys::bytes_of;
use crate::nginx::sys::request::Request;

/// Has those variables computed anew whose names `is_stale`.
pub(in crate::nginx) fn forget(request: Request, is_stale: impl Fn(&[u8]) -> bool) {
    let Some(core) = NgxHttpCoreModule::main_conf(request.raw()) else { return };
    // SAFETY: nginx has as many values for a request as there are indexed variables.
    unsafe {
        let known = core.variables.elts.cast::<ngx_http_variable_t>();
        for at in 0..core.variables.nelts {
            if is_stale(bytes_of((*known.add(at)).name)) {
                let value = request.raw().variables.add(at);
                (*value).set_valid(0);
                (*value).set_not_found(0);
            }
        }
    }
}
