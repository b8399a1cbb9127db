//! Brotli (RFC 7932).

use brotli::enc::BrotliEncoderParams;
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::Undecodable;

/// How much room a body gets at a time while its length is not known.
const STEP: usize = 64 << 10;

pub(super) fn code(level: u8, body: &[u8], most: usize) -> Option<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: i32::from(level),
        size_hint: body.len(),
        ..BrotliEncoderParams::default()
    };
    let mut out = Vec::with_capacity(body.len() / 4);
    brotli::BrotliCompress(&mut &*body, &mut out, &params).ok()?;
    out.shrink_to_fit();
    (out.len() <= most).then_some(out)
}

pub(super) fn decode(coded: &[u8], most: usize) -> Result<Vec<u8>, Undecodable> {
    if coded.is_empty() {
        return Ok(Vec::new());
    }
    let alloc = StandardAlloc::default();
    let mut state = BrotliState::new(alloc, alloc, alloc);
    // Windows of more than 16 MiB are not of RFC 7932.
    state.large_window = false;
    let (mut left, mut read, mut total) = (coded.len(), 0, 0);
    let mut out = Vec::new();
    let mut written = 0;
    loop {
        // One byte more than there may be tells a body that is too large.
        out.resize(most.saturating_add(1).min(written + STEP.max(written)), 0);
        let mut room = out.len() - written;
        let step = BrotliDecompressStream(
            &mut left,
            &mut read,
            coded,
            &mut room,
            &mut written,
            &mut out,
            &mut total,
            &mut state,
        );
        match step {
            _ if written > most => return Err(Undecodable::TooLarge),
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess if left == 0 => break,
            BrotliResult::ResultSuccess
            | BrotliResult::NeedsMoreInput
            | BrotliResult::ResultFailure => return Err(Undecodable::Damaged),
        }
    }
    out.truncate(written);
    out.shrink_to_fit();
    Ok(out)
}
