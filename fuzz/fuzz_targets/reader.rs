//! Any bytes in any pieces: the reader never panics, gives the same frames whatever the pieces,
//! and where it reads a whole reply the `redis` crate's parser reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ngx_http_redis_cache_module::reason::Reason;
use ngx_http_redis_cache_module::redis::reader::{Admit, Frame, Reader};

fn read(input: &[u8], piece: usize) -> Result<Vec<Frame>, Reason> {
    let mut reader = Reader::default();
    let mut frames = Vec::new();
    let mut rest = input;
    loop {
        while let Some(frame) =
            reader.next(|size| if size > 1 << 20 { Admit::Refuse } else { Admit::Take })?
        {
            frames.push(frame);
        }
        if rest.is_empty() {
            return Ok(frames);
        }
        let space = reader.space();
        let size = piece.min(space.capacity() - space.len()).min(rest.len());
        let (now, later) = rest.split_at(size);
        space.extend_from_slice(now);
        rest = later;
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = read(bytes, usize::MAX);
    assert_eq!(whole, read(bytes, usize::from(piece).max(1)));
    if let Ok(frames) = &whole {
        if let (Some(Frame::Value(value)), Ok(redis::Value::BulkString(theirs))) =
            (frames.first(), redis::parse_redis_value(bytes))
        {
            assert_eq!(value, &theirs);
        }
    }
});
