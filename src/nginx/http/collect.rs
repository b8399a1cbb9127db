//! The body of an answer that is to be stored, as it passes through to the client.

use ngx::ffi::{ngx_buf_t, ngx_chain_t};

use crate::engine::memory::Share;
use crate::nginx::http::fate::Fate;
use crate::nginx::http::fill;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::chain;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::response::{Response, upstream};
use crate::nginx::worker::coding::Recipe;
use crate::nginx::worker::writer;
use crate::policy::Storable;
use crate::reason::StoreReason;

/// An answer that is being collected.
pub(in crate::nginx) struct Collecting {
    storable: Storable,
    /// The stored form: the head, and as much of the body as has passed.
    value: Vec<u8>,
    head: usize,
    /// The length of the body, where the answer states it.
    stated: Option<usize>,
    share: Share,
    recipe: Option<Recipe>,
}

impl Collecting {
    /// Begins with the head; refused where there is no room for it.
    pub fn begin(
        lookup: Lookup,
        response: &Response<'_>,
        storable: Storable,
    ) -> Result<Box<Self>, StoreReason> {
        let fields = response.to_store().ok_or(StoreReason::Internal)?;
        let page = (response.status, response.phrase());
        let received = &response.received;
        let mut value = fill::head(lookup, &storable, page, &fields, received, None)?;
        let mut share = writer::share(lookup).ok_or(StoreReason::Internal)?;
        let stated = response.length();
        let expected = stated.unwrap_or(0);
        if value.len() + expected > lookup.plan().max_size {
            return Err(StoreReason::TooLarge);
        }
        if !share.grow(value.len() + expected) || value.try_reserve_exact(expected).is_err() {
            return Err(StoreReason::Overload);
        }
        let recipe = fill::recipe(lookup, response, &storable, page, &fields);
        let head = value.len();
        Ok(Box::new(Self { storable, value, head, stated, share, recipe }))
    }

    /// Hands the page to Redis.
    pub fn store(self, lookup: Lookup) -> Result<(), StoreReason> {
        let Self { storable, value, head, share, recipe, .. } = self;
        fill::hand_over(lookup, &storable, (value, head), recipe, share)
    }

    fn add(&mut self, bytes: &[u8], max_size: usize) -> Result<(), StoreReason> {
        let room = self.value.capacity() - self.value.len();
        if self.value.len() + bytes.len() > max_size {
            return Err(StoreReason::TooLarge);
        }
        if bytes.len() > room {
            // Doubling keeps an answer of unknown length from being copied for every piece.
            let more = bytes.len().max(self.value.len());
            if !self.share.grow(more) || self.value.try_reserve_exact(more).is_err() {
                return Err(StoreReason::Overload);
            }
        }
        self.value.extend_from_slice(bytes);
        Ok(())
    }
}

/// Takes a piece of the body in, and stores the page once it is whole.
///
/// # Safety
/// The chain is one that nginx passes to a body filter.
pub(in crate::nginx) unsafe fn take(lookup: Lookup, chain: *mut ngx_chain_t) {
    let max_size = lookup.plan().max_size;
    let request = lookup.request();
    // SAFETY: the caller guarantees that links and buffers of the chain are valid.
    for buffer in unsafe { chain::buffers(chain).filter_map(|buffer| buffer.as_ref()) } {
        // SAFETY: as above.
        let bytes = unsafe { chain::bytes_of(buffer) };
        let added = lookup.with_fate(|fate| match fate {
            Fate::Collecting(collecting) => {
                let bytes = bytes.ok_or(StoreReason::Internal);
                Some(bytes.and_then(|bytes| collecting.add(bytes, max_size)))
            }
            _ => None,
        });
        match added {
            Some(Ok(())) => {}
            Some(Err(reason)) => return lookup.settle(reason),
            None => return,
        }
        if is_last(request, buffer) {
            return finish(lookup);
        }
    }
}

fn is_last(request: Request, buffer: &ngx_buf_t) -> bool {
    buffer.last_buf() != 0 || (!request.is_main() && buffer.last_in_chain() != 0)
}

/// The end of the body has passed.
fn finish(lookup: Lookup) {
    let Fate::Collecting(collecting) = lookup.set_fate(Fate::Unasked) else { return };
    let length = collecting.value.len() - collecting.head;
    let stored = is_whole(lookup.request(), length, collecting.stated)
        .and_then(|()| collecting.store(lookup));
    lookup.settle(stored.err().unwrap_or(StoreReason::Queued));
}

/// Whether a body of `length` bytes is all of it: nginx ends a response in the same way when an
/// upstream that stated no length closes the connection, be it in the middle of the body.
fn is_whole(request: Request, length: usize, stated: Option<usize>) -> Result<(), StoreReason> {
    if let Some(stated) = stated {
        return if stated == length { Ok(()) } else { Err(StoreReason::Incomplete) };
    }
    let Some(upstream) = upstream(request) else { return Ok(()) };
    // SAFETY: the pipe lives as long as its upstream.
    let is_done = match unsafe { upstream.pipe.as_ref() } {
        Some(pipe) if upstream.buffering() != 0 => pipe.upstream_done() != 0,
        _ => upstream.length == 0,
    };
    if is_done { Ok(()) } else { Err(StoreReason::LengthUnknown) }
}
