//! An nginx without threads.

use std::convert::Infallible;

use ngx::ffi::ngx_conf_t;

/// There is none.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Threads(Infallible);

impl Threads {
    /// Never.
    ///
    /// # Safety
    /// None.
    pub unsafe fn request(_: *mut ngx_conf_t) -> Option<Self> {
        None
    }

    /// Cannot be called.
    pub fn run<T: Send + 'static, D: FnOnce(T) + 'static>(
        self,
        _: T,
        _: fn(&mut T),
        _: D,
    ) -> Result<(), (T, D)> {
        match self.0 {}
    }
}
