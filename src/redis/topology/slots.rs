//! Which server of a cluster has a key.

use redis::Value;

use super::reply::{field, number, text};
use crate::redis::endpoint::Address;

/// How many slots a cluster has.
pub const SLOTS: u16 = 16384;

/// The slot of a key: of its hash tag, where it has one
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
pub fn slot_of(key: &[u8]) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(tag_of(key).unwrap_or(key)) % SLOTS
}

fn tag_of(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let rest = key.get(open + 1..)?;
    let close = rest.iter().position(|&byte| byte == b'}')?;
    rest.get(..close).filter(|tag| !tag.is_empty())
}

/// A range of slots and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first slot and the last.
    pub slots: (u16, u16),
    /// The primary, and behind it its replicas.
    pub servers: Vec<Address>,
}

/// Reads a reply to CLUSTER SLOTS; a server without a host of its own is at `asked`, the host
/// that replied, and one with a name is at its address if the reply tells it and names are not
/// resolved (<https://redis.io/docs/latest/commands/cluster-slots/>).
pub fn ranges(reply: &Value, asked: &Address, resolves: bool) -> Option<Vec<Range>> {
    let Value::Array(ranges) = reply else { return None };
    ranges.iter().map(|range| read_range(range, asked, resolves)).collect()
}

fn read_range(range: &Value, asked: &Address, resolves: bool) -> Option<Range> {
    let Value::Array(parts) = range else { return None };
    let (first, last) = (slot(parts.first()?)?, slot(parts.get(1)?)?);
    let primary = server(parts.get(2)?, asked, resolves)?;
    let replicas = parts.iter().skip(3).filter_map(|part| server(part, asked, resolves));
    let servers = std::iter::once(primary).chain(replicas).collect();
    (first <= last).then_some(Range { slots: (first, last), servers })
}

fn slot(value: &Value) -> Option<u16> {
    u16::try_from(number(value)?).ok().filter(|slot| *slot < SLOTS)
}

fn server(value: &Value, asked: &Address, resolves: bool) -> Option<Address> {
    let Value::Array(parts) = value else { return None };
    let port = u16::try_from(number(parts.get(1)?)?).ok().filter(|port| *port != 0)?;
    let at = |host: &str| Address::parse(&format!("{}:{port}", bracketed(host)), None);
    match parts.first()? {
        Value::Nil => on_same_host(asked, port),
        host => match text(host)?.as_str() {
            "" => on_same_host(asked, port),
            "?" => None,
            host => {
                let known = parts.get(3).and_then(|more| field(more, "ip")).and_then(|ip| at(&ip));
                at(host).map(|named| match (named.name(), known) {
                    (Some(_), Some(known)) if !resolves => known,
                    _ => named,
                })
            }
        },
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The port on the host that told of it.
pub fn on_same_host(asked: &Address, port: u16) -> Option<Address> {
    match asked {
        Address::Tcp(host, _) => Some(Address::Tcp(host.clone(), port)),
        Address::Unix(_) => None,
    }
}

/// What MOVED and ASK say: the slot and where it is
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection>).
pub fn redirection(text: &str, asked: &Address) -> Option<(u16, Address)> {
    let (slot, address) = text.split_once(' ')?;
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    let address = match address.strip_prefix(':') {
        Some(port) => on_same_host(asked, port.parse().ok().filter(|port| *port != 0)?)?,
        None => Address::parse(address, None)?,
    };
    Some((slot, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(
            slot_of(b"foo{}{bar}"),
            crc16::State::<crc16::XMODEM>::calculate(b"foo{}{bar}") % SLOTS
        );
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
    }

    #[test]
    fn a_map_of_slots() {
        let asked = Address::tcp("10.0.0.9", 7000);
        let reply = b"*2\r\n*4\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$1\r\na\r\n\
            *4\r\n$0\r\n\r\n:7003\r\n$1\r\nb\r\n*0\r\n*3\r\n:5461\r\n:16383\r\n*3\r\n$-1\r\n:7001\r\n$1\r\nc\r\n";
        let found = ranges(&redis::parse_redis_value(reply).unwrap(), &asked, true).unwrap();
        let shown: Vec<String> =
            found.iter().flat_map(|range| &range.servers).map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:7000", "10.0.0.9:7003", "10.0.0.9:7001"]);
        assert_eq!(
            found.iter().map(|range| range.slots).collect::<Vec<_>>(),
            [(0, 5460), (5461, 16383)]
        );
        for wrong in [
            &b"*1\r\n*2\r\n:0\r\n:1\r\n"[..],
            b"*1\r\n*3\r\n:5\r\n:1\r\n*2\r\n$1\r\nh\r\n:7000\r\n",
            b"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:7000\r\n",
            b"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:70000\r\n",
            b"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n?\r\n:7000\r\n",
            b"+OK\r\n",
        ] {
            assert_eq!(ranges(&redis::parse_redis_value(wrong).unwrap(), &asked, true), None);
        }
    }

    #[test]
    fn a_name_is_at_its_address_where_it_is_not_resolved() {
        let asked = Address::tcp("10.0.0.9", 7000);
        let reply = b"*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$4\r\nnode\r\n:7000\r\n$1\r\na\r\n\
            *2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n";
        let reply = redis::parse_redis_value(reply).unwrap();
        for (resolves, wanted) in [(true, "node:7000"), (false, "10.0.0.1:7000")] {
            let found = ranges(&reply, &asked, resolves).unwrap();
            assert_eq!(found[0].servers[0].to_string(), wanted);
        }
    }

    #[test]
    fn redirections() {
        let asked = Address::tcp("10.0.0.9", 7000);
        let read = |text| redirection(text, &asked).map(|(slot, at)| (slot, at.to_string()));
        assert_eq!(read("3999 127.0.0.1:6381"), Some((3999, "127.0.0.1:6381".into())));
        assert_eq!(read("3999 :6381"), Some((3999, "10.0.0.9:6381".into())));
        assert_eq!(read("3999 fd00::1:6381"), Some((3999, "[fd00::1]:6381".into())));
        for wrong in ["", "3999", "16384 h:1", "x h:1", "1 h", "1 h:0", "1 :0", "1 a b:1", "1 ?:"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
