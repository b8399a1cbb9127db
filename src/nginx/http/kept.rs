//! The values that a lookup holds: what is sent, decoded where the client does not take its coding, and
//! what was seen, for a fill that replaces it.

use std::cell::RefCell;

use crate::engine::memory::Held;
use crate::nginx::http::fate::StalePage;
use crate::nginx::http::lookup::{Asked, Lookup};
use crate::policy::Known;
use crate::redis::write::Seen;

/// They live as long as the request's pool.
#[derive(Default)]
pub(in crate::nginx) struct Kept {
    value: RefCell<Option<Held>>,
    decoded: RefCell<Option<Held>>,
    known: RefCell<Option<Box<Known>>>,
    stale: RefCell<Option<StalePage>>,
}

impl Lookup {
    /// Keeps a value, and gives its bytes.
    ///
    /// # Safety
    /// The bytes are not used after another value is kept or this one taken, nor after the
    /// request's pool is freed.
    pub unsafe fn keep<'a>(self, held: Held) -> &'a [u8] {
        // SAFETY: the caller guarantees it.
        unsafe { keep(&self.kept().value, held) }
    }

    /// Keeps the decoded body of a page, and gives its bytes.
    ///
    /// # Safety
    /// The bytes are not used after another body is kept, nor after the request's pool is freed.
    pub unsafe fn keep_decoded<'a>(self, held: Held) -> &'a [u8] {
        // SAFETY: the caller guarantees it.
        unsafe { keep(&self.kept().decoded, held) }
    }

    /// The decoded body that is kept.
    ///
    /// # Safety
    /// As [`Self::keep_decoded`].
    pub unsafe fn decoded<'a>(self) -> Option<&'a [u8]> {
        let held = self.kept().decoded.borrow().clone()?;
        // SAFETY: the caller guarantees it; the value lies where it did.
        Some(unsafe { keep(&self.kept().decoded, held) })
    }

    /// Takes the value back that is kept.
    pub fn take_value(self) -> Option<Held> {
        self.kept().value.take()
    }

    /// Remembers what was seen under the key that was `asked` for, for a fill that replaces it.
    pub fn note(self, asked: &Asked) {
        if self.plan().store.is_none() {
            return;
        }
        let Kept { value, known, .. } = self.kept();
        let value = value.borrow();
        let seen = value.as_ref().map_or(Seen::Nothing, |held| Seen::value(&held.value));
        let mut known = known.borrow_mut();
        let nothing = || Box::new(Known { first: Seen::Nothing, variant: None });
        let known = known.get_or_insert_with(nothing);
        match asked {
            // A variant counts beside the marker alone that it was found by.
            Asked::First | Asked::Fill => **known = Known { first: seen, variant: None },
            Asked::Variant(variant) => known.variant = Some((variant.clone(), seen)),
        }
    }

    /// Keeps a page that is no longer fresh, for what the application makes of the request.
    pub fn set_stale(self, stale: StalePage) {
        self.kept().stale.replace(Some(stale));
    }

    /// Takes that page out, if there is one.
    pub fn take_stale(self) -> Option<StalePage> {
        self.kept().stale.take()
    }

    /// Lets go of everything: it is asked for anew.
    pub fn let_go(self) {
        let Kept { value, decoded, known, stale } = self.kept();
        value.take();
        decoded.take();
        known.take();
        stale.take();
    }

    /// Forgets it, and its decoded form: the application has answered.
    pub fn forget_stale(self) {
        let Kept { stale, decoded, .. } = self.kept();
        stale.take();
        decoded.take();
    }

    /// Whether there is one.
    pub fn has_stale(self) -> bool {
        self.kept().stale.borrow().is_some()
    }

    /// Runs `work` on what was noted.
    pub fn with_known<T>(self, work: impl FnOnce(&Known) -> T) -> Option<T> {
        self.kept().known.borrow().as_deref().map(work)
    }
}

/// Keeps a value in a place, and gives its bytes.
///
/// # Safety
/// The bytes are not used after the place is emptied.
unsafe fn keep<'a>(place: &RefCell<Option<Held>>, held: Held) -> &'a [u8] {
    let (start, length) = (held.value.as_ptr(), held.value.len());
    place.replace(Some(held));
    // SAFETY: the value lives until then, as the caller guarantees; nothing writes to it.
    unsafe { std::slice::from_raw_parts(start, length) }
}
