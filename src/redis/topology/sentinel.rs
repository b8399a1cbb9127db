//! What sentinels say of a primary and its replicas
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>).

use redis::Value;

use super::reply::field;
use crate::redis::endpoint::Address;

/// A primary, and how new the knowledge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it listens.
    pub address: Address,
    /// Higher after every failover.
    pub epoch: u64,
    /// The sentinel leads a failover: it has the new epoch already, and still the old address.
    pub failing_over: bool,
}

/// Reads a reply to SENTINEL MASTER.
pub fn primary(reply: &Value) -> Option<Primary> {
    let epoch = field(reply, "config-epoch")?.parse().ok()?;
    let failing_over = has_flag(reply, &["failover_in_progress"]);
    Some(Primary { address: address(reply)?, epoch, failing_over })
}

/// Reads a reply to SENTINEL REPLICAS: those that the sentinel holds to be up.
pub fn replicas(reply: &Value) -> Option<Vec<Address>> {
    let Value::Array(replicas) = reply else { return None };
    Some(replicas.iter().filter(|replica| is_up(replica)).filter_map(address).collect())
}

fn is_up(replica: &Value) -> bool {
    !has_flag(replica, &["s_down", "o_down", "disconnected"])
}

fn has_flag(server: &Value, any_of: &[&str]) -> bool {
    let flags = field(server, "flags").unwrap_or_default();
    flags.split(',').any(|flag| any_of.contains(&flag))
}

fn address(server: &Value) -> Option<Address> {
    let port = field(server, "port")?.parse().ok()?;
    let host = field(server, "ip")?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Address::parse(&host, Some(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_in_either_protocol() {
        let fields =
            b"$4\r\nname\r\n$1\r\nm\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$4\r\n7000\r\n\
            $12\r\nconfig-epoch\r\n$1\r\n3\r\n";
        for head in [&b"%4\r\n"[..], b"*8\r\n"] {
            let reply = redis::parse_redis_value(&[head, fields].concat()).unwrap();
            let address = Address::tcp("127.0.0.1", 7000);
            let wanted = Primary { address, epoch: 3, failing_over: false };
            assert_eq!(primary(&reply), Some(wanted));
        }
        assert_eq!(primary(&Value::Nil), None);
    }

    #[test]
    fn replicas_that_are_up() {
        let replica = |port: &str, flags: &str| {
            let names = ["ip", "127.0.0.1", "port", port, "flags", flags];
            Value::Array(names.iter().map(|n| Value::BulkString(n.as_bytes().to_vec())).collect())
        };
        let reply = Value::Array(vec![
            replica("1", "slave"),
            replica("2", "s_down,slave,disconnected"),
            replica("3", "slave"),
        ]);
        assert_eq!(
            replicas(&reply),
            Some(vec![Address::tcp("127.0.0.1", 1), Address::tcp("127.0.0.1", 3)])
        );
        assert_eq!(replicas(&Value::Nil), None);
    }
}
