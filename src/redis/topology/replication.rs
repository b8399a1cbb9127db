//! Whether a replica keeps up with its primary.

use redis::Value;

use super::reply::text;

/// What a server says of its replication (`INFO replication`,
/// <https://redis.io/docs/latest/commands/info/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is a primary, and has come as far as this.
    Primary(Position),
    /// It is a replica.
    Replica {
        /// How far it has come.
        position: Position,
        /// Whether the link to its primary is up and no copy is under way.
        linked: bool,
    },
}

/// A place in the history of a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which history.
    id: String,
    /// How many bytes of it.
    offset: u64,
}

impl Position {
    /// Whether it lies in the same history, and not before `required`.
    pub fn has_reached(&self, required: &Self) -> bool {
        self.id == required.id && self.offset >= required.offset
    }
}

/// Reads a reply to `INFO replication`.
pub fn report(reply: &Value) -> Option<Report> {
    let info = text(reply)?;
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let offset = |name| field(name)?.parse().ok();
    let id = field("master_replid")?.to_owned();
    match field("role")? {
        "master" => Some(Report::Primary(Position { id, offset: offset("master_repl_offset")? })),
        "slave" => {
            let linked = field("master_link_status") == Some("up")
                && field("master_sync_in_progress") == Some("0");
            let offset = offset("slave_repl_offset")?;
            Some(Report::Replica { position: Position { id, offset }, linked })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(info: &str) -> Option<Report> {
        report(&Value::BulkString(info.as_bytes().to_vec()))
    }

    #[test]
    fn reports() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_replid:aa\r\n\
            master_repl_offset:100\r\n";
        let at = |offset| Position { id: "aa".into(), offset };
        assert_eq!(read(primary), Some(Report::Primary(at(100))));
        let replica = |status: &str, syncs: u8| {
            format!(
                "role:slave\r\nmaster_link_status:{status}\r\nmaster_sync_in_progress:{syncs}\r\n\
                 slave_repl_offset:99\r\nmaster_replid:aa\r\nmaster_repl_offset:99\r\n"
            )
        };
        for (status, syncs, linked) in [("up", 0, true), ("down", 0, false), ("up", 1, false)] {
            let wanted = Report::Replica { position: at(99), linked };
            assert_eq!(read(&replica(status, syncs)), Some(wanted));
        }
        assert!(at(99).has_reached(&at(99)) && !at(99).has_reached(&at(100)));
        assert!(!Position { id: "bb".into(), offset: 500 }.has_reached(&at(1)));
        assert_eq!(read("role:sentinel\r\n"), None);
        assert_eq!(report(&Value::Nil), None);
    }
}
