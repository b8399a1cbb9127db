//! Memory that the workers of one nginx share, also with those of a reload: the marks of
//! [`Pending`].

use std::ffi::c_void;
use std::ptr::addr_of_mut;
use std::sync::atomic::AtomicUsize;

use ngx::ffi::{
    ngx_conf_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t, ngx_slab_calloc,
    ngx_slab_pool_t, ngx_str_t,
};

use crate::nginx::ngx_http_redis_cache_module;
use crate::nginx::sys::rc;
use crate::redis::pending::{PLACES, Pending};

/// Its name among those of proxy_cache_path, limit_req_zone and others.
const ZONE: &[u8] = b"ngx_http_redis_cache_module";

/// The zone, from the configuration on; its memory is there once nginx runs.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Zone(*mut ngx_shm_zone_t);

impl Zone {
    /// Has nginx make it, or keep that of before a reload.
    ///
    /// # Safety
    /// `cf` is nginx's context in postconfiguration.
    pub unsafe fn request(cf: *mut ngx_conf_t) -> Option<Self> {
        // SAFETY: `cf` is valid; the name lives in its pool. nginx's slab allocator wants some
        // pages of its own.
        unsafe {
            let mut name = ngx_str_t::from_bytes((*cf).pool, ZONE)?;
            let size = size_of::<[AtomicUsize; PLACES]>() + 8 * ngx_pagesize;
            let tag = addr_of_mut!(ngx_http_redis_cache_module).cast();
            let zone = ngx_shared_memory_add(cf, &raw mut name, size, tag).as_mut()?;
            zone.init = Some(init);
            Some(Self(zone))
        }
    }

    /// The marks of the upstream with a number.
    ///
    /// # Safety
    /// The cycle of the zone is running.
    pub unsafe fn pending(self, upstream: usize) -> Pending {
        // SAFETY: `init` has set the data to as many marks. Every configuration with this module has
        // the zone, so nginx keeps it as long as a worker that uses it.
        let places = unsafe {
            match (*self.0).data.cast::<AtomicUsize>() {
                data if data.is_null() => &[],
                data => std::slice::from_raw_parts(data, PLACES),
            }
        };
        Pending::new(places, upstream)
    }
}

/// nginx has mapped the memory; `before` is the data of the zone before a reload, if it is kept.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, before: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx passes its zone, which begins with a slab pool that it has made.
    unsafe {
        (*zone).data = match before.is_null() {
            true => {
                let pool: *mut ngx_slab_pool_t = (*zone).shm.addr.cast();
                ngx_slab_calloc(pool, size_of::<[AtomicUsize; PLACES]>())
            }
            false => before,
        };
        if (*zone).data.is_null() { rc::ERROR } else { rc::OK }
    }
}
