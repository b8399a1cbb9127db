//! gzip (RFC 1952), by libdeflate. It needs the whole body at once and is the fastest there is for that.

use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};

use super::Undecodable;

/// The shortest form: header, an empty stream, and the trailer.
const SHORTEST: usize = 20;

/// CRC and length of the body.
const TRAILER: usize = 8;

/// Nothing shrinks more than this (zlib's technical details): a length beyond it is a lie.
const RATIO: usize = 1032;

pub(super) fn code(level: u8, body: &[u8], most: usize) -> Option<Vec<u8>> {
    let level = CompressionLvl::new(i32::from(level)).unwrap_or_default();
    let mut out = vec![0; most];
    let length = Compressor::new(level).gzip_compress(body, &mut out).ok()?;
    out.truncate(length);
    out.shrink_to_fit();
    Some(out)
}

/// The trailer says how long the body is: who lies there is found out when there is no room, or some
/// is left. Bytes behind the first member would be taken for its trailer, so that they are found out
/// unless they end in a copy of it.
pub(super) fn decode(coded: &[u8], most: usize) -> Result<Vec<u8>, Undecodable> {
    // The answer to HEAD, and some empty ones, name a coding of nothing.
    if coded.is_empty() {
        return Ok(Vec::new());
    }
    let (stream, trailer) = coded
        .split_last_chunk::<TRAILER>()
        .filter(|_| coded.len() >= SHORTEST)
        .ok_or(Undecodable::Damaged)?;
    let [a, b, c, d, length @ ..] = *trailer;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| Undecodable::TooLarge)?;
    if length > stream.len().saturating_mul(RATIO) {
        return Err(Undecodable::Damaged);
    }
    if length > most {
        return Err(Undecodable::TooLarge);
    }
    let mut out = vec![0; length];
    match Decompressor::new().gzip_decompress(coded, &mut out) {
        Ok(found) if found == length => {}
        Ok(_) | Err(DecompressionError::BadData | DecompressionError::InsufficientSpace) => {
            return Err(Undecodable::Damaged);
        }
    }
    let is_its_own = libdeflater::crc32(&out) == u32::from_le_bytes([a, b, c, d]);
    match is_its_own && memchr::memmem::find(stream, trailer).is_none() {
        true => Ok(out),
        false => Err(Undecodable::Damaged),
    }
}
