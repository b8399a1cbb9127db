//! Memory that the workers of one nginx share, also with those of a reload: the marks of
//! [`Pending`], and the counts of [`Uses`].

use std::ffi::c_void;
use std::ptr::addr_of_mut;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize};

use ngx::ffi::{
    ngx_conf_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t, ngx_slab_calloc,
    ngx_slab_pool_t, ngx_str_t,
};

use crate::nginx::ngx_http_redis_cache_module;
use crate::nginx::sys::rc;
use crate::redis::pending::{PLACES, Pending};
use crate::uses;
use crate::uses::Uses;

/// Its name among those of proxy_cache_path, limit_req_zone and others.
const ZONE: &[u8] = b"ngx_http_redis_cache_module";

/// What lies in it; zeros are a value of it.
struct Shared {
    pending: [AtomicUsize; PLACES],
    uses: AtomicU32,
    places: [AtomicU8; uses::PLACES],
}

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
            let size = size_of::<Shared>() + 8 * ngx_pagesize;
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
        // SAFETY: the caller guarantees it.
        let shared = unsafe { self.shared() };
        Pending::new(shared.map_or(&[], |shared| &shared.pending), upstream)
    }

    /// How often pages were asked for.
    ///
    /// # Safety
    /// The cycle of the zone is running.
    pub unsafe fn uses(self) -> Option<Uses> {
        // SAFETY: the caller guarantees it.
        unsafe { self.shared() }.map(|shared| Uses::new(&shared.places, &shared.uses))
    }

    /// # Safety
    /// The cycle of the zone is running.
    unsafe fn shared(self) -> Option<&'static Shared> {
        // SAFETY: `init` has set the data. Every configuration with this module has the zone, so
        // nginx keeps it as long as a worker that uses it.
        unsafe { (*self.0).data.cast::<Shared>().as_ref() }
    }
}

/// nginx has mapped the memory; `before` is the data of the zone before a reload, if it is kept.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, before: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx passes its zone, which begins with a slab pool that it has made.
    unsafe {
        (*zone).data = match before.is_null() {
            true => {
                let pool: *mut ngx_slab_pool_t = (*zone).shm.addr.cast();
                ngx_slab_calloc(pool, size_of::<Shared>())
            }
            false => before,
        };
        if (*zone).data.is_null() { rc::ERROR } else { rc::OK }
    }
}
