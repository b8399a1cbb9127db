//! How many lookups may be in flight on one connection: so many that about 256 KiB of
//! replies are on their way. Many small values keep a pipeline full; a few large ones fill the
//! socket buffers, and more of them would only leave the CPU's caches before they are sent.

/// Bytes of replies that may be on their way.
const WINDOW: usize = 256 * 1024;

/// Lookups in flight, at least and at most.
const LEAST: usize = 2;
const MOST: usize = 512;

/// The size of recent replies.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    recent: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { recent: 4 * 1024 }
    }
}

impl Window {
    /// Takes in the size of a reply, in bytes.
    pub fn saw(&mut self, size: usize) {
        self.recent = (self.recent * 7 + size) / 8;
    }

    /// How many lookups may be in flight.
    pub fn allows(&self) -> usize {
        (WINDOW / self.recent.max(1)).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapts_to_what_it_saw() {
        let after = |size| {
            let mut window = Window::default();
            (0..100).for_each(|_| window.saw(size));
            window.allows()
        };
        assert_eq!(after(100), MOST);
        assert!((12..=20).contains(&after(16 * 1024)));
        assert_eq!(after(1 << 20), LEAST);
    }
}
