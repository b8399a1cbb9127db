//! Commands as Redis reads them: arrays of length-prefixed strings, never inline, so that no
//! byte of a key can end a command (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

/// Appends one command to `out`.
pub fn encode(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    prefix(out, b'*', arguments.len());
    for argument in arguments {
        prefix(out, b'$', argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

fn prefix(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redis_crate_writes_the_same_bytes() {
        for key in [&b""[..], b"plain", b"a b\r\nDEL x\r\n", b"\0\xff{tag}"] {
            let mut ours = Vec::new();
            encode(&mut ours, &[b"GET", key]);
            assert_eq!(ours, redis::cmd("GET").arg(key).get_packed_command());
        }
    }
}
