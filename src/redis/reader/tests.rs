use proptest::prelude::*;
use redis::Value;

use super::*;

/// Feeds `input` in pieces of `sizes` (repeated) and gives all frames.
fn read(input: &[u8], sizes: &[usize]) -> Result<Vec<Frame>, Reason> {
    let mut reader = Reader::default();
    let mut frames = Vec::new();
    let mut rest = input;
    let mut sizes = sizes.iter().cycle();
    loop {
        while let Some(frame) = reader.next(|_| Admit::Take)? {
            frames.push(frame);
        }
        if rest.is_empty() {
            return Ok(frames);
        }
        let space = reader.space();
        let room = space.capacity() - space.len();
        let size = sizes.next().map_or(1, |size| *size).min(room).min(rest.len());
        let (now, later) = rest.split_at(size);
        space.extend_from_slice(now);
        rest = later;
    }
}

fn frame_of(reply: &[u8]) -> Frame {
    let whole = Bytes::copy_from_slice(reply);
    match redis::parse_redis_value(reply).unwrap() {
        Value::Nil => Frame::Nil,
        Value::BulkString(bytes) => Frame::Value(bytes.into()),
        Value::ServerError(error) => {
            Frame::Error(error.code().to_owned(), error.details().unwrap_or_default().to_owned())
        }
        Value::Push { .. } => Frame::Push(whole),
        _ => Frame::Other(whole),
    }
}

/// The same reply as redis-protocol reads it; it knows `$-1` of RESP2 in its RESP2 half alone.
fn by_redis_protocol(reply: &[u8]) -> Frame {
    use redis_protocol::resp3::decode::complete::decode;
    use redis_protocol::resp3::types::OwnedFrame;
    if reply == b"$-1\r\n" {
        return Frame::Nil;
    }
    let (frame, length) = decode(reply).unwrap().unwrap();
    assert_eq!(length, reply.len());
    match frame {
        OwnedFrame::Null => Frame::Nil,
        OwnedFrame::BlobString { data, .. } => Frame::Value(data.into()),
        OwnedFrame::SimpleError { data, .. } => {
            let (code, rest) = data.split_once(' ').unwrap_or((&data, ""));
            Frame::Error(code.to_owned(), rest.to_owned())
        }
        OwnedFrame::Push { .. } => Frame::Push(Bytes::copy_from_slice(reply)),
        _ => Frame::Other(Bytes::copy_from_slice(reply)),
    }
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(bulk),
        (0..80_000_usize).prop_map(|size| bulk(vec![b'x'; size])),
        Just(b"_\r\n".to_vec()),
        Just(b"$-1\r\n".to_vec()),
        Just(b"+OK\r\n".to_vec()),
        Just(b":-12\r\n".to_vec()),
        Just(b"#t\r\n".to_vec()),
        Just(b",1.5\r\n".to_vec()),
        "[A-Z]{3,8} [a-z ]{1,20}[a-z]".prop_map(|text| format!("-{text}\r\n").into_bytes()),
    ];
    let small = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20).prop_map(bulk),
        Just(b"+OK\r\n".to_vec()),
        Just(b":7\r\n".to_vec()),
    ];
    let list = prop::collection::vec(small, 0..5)
        .prop_map(|items| [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat());
    prop_oneof![4 => scalar, 1 => list]
}

fn bulk(body: Vec<u8>) -> Vec<u8> {
    [format!("${}\r\n", body.len()).into_bytes(), body, b"\r\n".to_vec()].concat()
}

proptest! {
    #[test]
    fn any_split_gives_what_two_other_parsers_read(
        replies in prop::collection::vec(reply(), 1..8),
        sizes in prop::collection::vec(1..5000_usize, 1..6),
    ) {
        let wanted: Vec<Frame> = replies
            .iter()
            .map(|reply| frame_of(reply))
            .collect();
        let second: Vec<Frame> = replies.iter().map(|reply| by_redis_protocol(reply)).collect();
        prop_assert_eq!(&wanted, &second);
        let input = replies.concat();
        prop_assert_eq!(read(&input, &sizes).unwrap(), wanted.clone());
        prop_assert_eq!(read(&input, &[usize::MAX]).unwrap(), wanted);
    }

    #[test]
    fn garbage_never_panics_and_never_runs_on(input in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&input, &[7]);
    }
}

#[test]
fn every_split_of_one_byte_and_two() {
    let input = b"$3\r\na\nb\r\n$0\r\n\r\n_\r\n-ERR no good\r\n>1\r\n+hi\r\n$-1\r\n%1\r\n+a\r\n*1\r\n:1\r\n";
    let wanted = read(input, &[usize::MAX]).unwrap();
    assert_eq!(wanted.len(), 7);
    for size in 1..input.len() {
        assert_eq!(read(input, &[size]).unwrap(), wanted, "{size}");
    }
}

#[test]
fn a_shifted_or_broken_stream_is_a_fault() {
    for input in [
        &b"$3\r\nabcd\r\n"[..],
        b"$2\r\nabc\r\n",
        b"$-2\r\n",
        b"$\r\n",
        b"$3x\r\nabc\r\n",
        b"$+3\r\nabc\r\n",
        b"hello\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"$3\nabc\r\n",
        b"*1\r\nx",
        b"+a\rb\r\n",
        b"$?\r\n",
        b"$9999999999999999\r\n",
    ] {
        assert_eq!(read(input, &[1]), Err(Reason::Protocol), "{}", input.escape_ascii());
        assert_eq!(read(input, &[usize::MAX]), Err(Reason::Protocol), "{}", input.escape_ascii());
    }
}

#[test]
fn limits_of_other_replies() {
    assert_eq!(read(&b"*1\r\n".repeat(20), &[100]), Err(Reason::Protocol));
    assert_eq!(read(b"*99999999\r\n", &[100]), Err(Reason::Protocol));
    let endless = [b"+".to_vec(), vec![b'x'; SMALL + 10]].concat();
    assert_eq!(read(&endless, &[4096]), Err(Reason::Protocol));
}

#[test]
fn an_unwanted_string_is_dropped_as_it_arrives() {
    let mut reader = Reader::default();
    reader.space().extend_from_slice(b"$100000\r\n");
    assert_eq!(reader.next(|_| Admit::Skip), Ok(None));
    for _ in 0..100 {
        reader.space().extend_from_slice(&[b'x'; 1000]);
        assert_eq!(reader.next(|_| Admit::Take), Ok(None));
    }
    reader.space().extend_from_slice(b"\r\n_\r\n");
    assert_eq!(reader.next(|_| Admit::Take), Ok(Some(Frame::Skipped(100_000))));
    assert_eq!(reader.next(|_| Admit::Take), Ok(Some(Frame::Nil)));
    assert!(reader.is_at_rest());
    reader.space().extend_from_slice(b"$2000000\r\n");
    assert_eq!(reader.next(|_| Admit::Refuse), Err(Reason::TooLarge));
}

#[test]
fn attributes_stand_in_front_of_a_reply() {
    let two = b"|1\r\n+ttl\r\n:3600\r\n|0\r\n$1\r\nx\r\n";
    assert_eq!(read(two, &[1]), Ok(vec![Frame::Value(Bytes::from_static(b"x"))]));
    let inside = b"*2\r\n|1\r\n+ttl\r\n:1\r\n:1\r\n:2\r\n";
    assert_eq!(read(inside, &[3]), Ok(vec![Frame::Other(Bytes::from_static(inside))]));
}

#[test]
fn attributes_without_end_are_no_reply() {
    let endless = b"|0\r\n".repeat(1_000_000);
    for sizes in [[64 * 1024], [4 * 1024 * 1024]] {
        assert_eq!(read(&endless, &sizes), Err(Reason::Protocol));
    }
}

#[test]
fn aggregates_nest_to_a_depth_and_no_further() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    assert!(read(&nested(8), &[5]).is_ok());
    for kind in [&b"*1\r\n"[..], b"~1\r\n", b"%1\r\n+k\r\n", b"*1\r\n|1\r\n+k\r\n"] {
        let endless = kind.repeat(100_000);
        assert_eq!(read(&endless, &[usize::MAX]), Err(Reason::Protocol), "{kind:?}");
    }
}
