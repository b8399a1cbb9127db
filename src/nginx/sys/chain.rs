//! nginx's chains of buffers, in which bodies pass.

use std::iter;

use ngx::ffi::{ngx_buf_t, ngx_chain_t, ngx_pcalloc, ngx_pool_t};

use super::OutOfMemory;

/// The buffers of a chain.
///
/// # Safety
/// The chain is null, or one that nginx passes to a body filter; it lives for as long as this is used.
pub(in crate::nginx) unsafe fn buffers(
    chain: *const ngx_chain_t,
) -> impl Iterator<Item = *mut ngx_buf_t> {
    let mut link = chain;
    iter::from_fn(move || {
        // SAFETY: the caller guarantees it; the last link is followed by null.
        let current = unsafe { link.as_ref()? };
        link = current.next;
        Some(current.buf)
    })
}

/// The bytes of a buffer; `None` where they lie in a file alone.
///
/// # Safety
/// The memory of the buffer does not change for `'a`.
pub(in crate::nginx) unsafe fn bytes_of<'a>(buffer: &ngx_buf_t) -> Option<&'a [u8]> {
    let in_memory = buffer.temporary() != 0 || buffer.memory() != 0 || buffer.mmap() != 0;
    if !in_memory {
        return (buffer.in_file() == 0).then_some(&[]);
    }
    // SAFETY: `pos` is not behind `last`, and both are in one piece of memory.
    unsafe {
        let length = usize::try_from(buffer.last.offset_from(buffer.pos)).unwrap_or(0);
        if length == 0 {
            return Some(&[]);
        }
        Some(std::slice::from_raw_parts(buffer.pos, length))
    }
}

/// A buffer over bytes that nobody writes to; `is_last` ends the response.
///
/// # Safety
/// The pool is that of a live request, and the bytes live as long as it.
pub(in crate::nginx) unsafe fn over(
    bytes: &[u8],
    pool: *mut ngx_pool_t,
    is_last: bool,
) -> Result<*mut ngx_buf_t, OutOfMemory> {
    // SAFETY: the caller guarantees it; all zeros are a buffer.
    let buffer = unsafe { ngx_pcalloc(pool, size_of::<ngx_buf_t>()).cast::<ngx_buf_t>().as_mut() };
    let buffer = buffer.ok_or(OutOfMemory)?;
    let ends = bytes.as_ptr_range();
    buffer.pos = ends.start.cast_mut();
    buffer.last = ends.end.cast_mut();
    buffer.start = buffer.pos;
    buffer.end = buffer.last;
    buffer.set_memory(1);
    buffer.set_last_buf(u32::from(is_last));
    buffer.set_last_in_chain(1);
    Ok(buffer)
}
