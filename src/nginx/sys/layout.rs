//! Rust's idea of nginx's structures, checked against the C compiler's: sizes and offsets when
//! this crate is compiled, bit fields when nginx starts. build.rs has the list.
//!
//! The bit fields of a request are read and written where the C compiler has them.

use ngx::ffi::ngx_http_request_t;

/// A bit field of `ngx_http_request_t`, one bit wide.
pub(in crate::nginx) struct RequestBit {
    byte: usize,
    mask: u8,
}

impl RequestBit {
    /// # Safety
    /// The request is alive.
    pub unsafe fn get(&self, request: *const ngx_http_request_t) -> bool {
        // SAFETY: the C compiler found the byte within the structure.
        unsafe { *request.cast::<u8>().add(self.byte) & self.mask != 0 }
    }

    /// # Safety
    /// The request is alive.
    pub unsafe fn set(&self, request: *mut ngx_http_request_t, value: bool) {
        // SAFETY: the C compiler found the byte within the structure.
        unsafe {
            let byte = request.cast::<u8>().add(self.byte);
            *byte = if value { *byte | self.mask } else { *byte & !self.mask };
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/layout.rs"));

/// Sets a bit field in an all-zero structure and looks for the one bit it may change.
fn check<T>(name: &str, byte: usize, mask: u8, set: impl FnOnce(&mut T)) -> Result<(), String> {
    // SAFETY: the structures are plain C data, for which all zeros are a value; their bytes are
    // all initialised.
    let bytes = unsafe {
        let mut value: Box<T> = Box::new(std::mem::zeroed());
        set(&mut value);
        std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()).to_vec()
    };
    let as_expected =
        bytes.iter().enumerate().all(|(at, &found)| found == if at == byte { mask } else { 0 });
    if as_expected {
        Ok(())
    } else {
        Err(format!("the module was built with wrong headers: {name} is not where nginx has it"))
    }
}
