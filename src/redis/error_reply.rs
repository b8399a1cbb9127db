//! What an error reply of Redis means for a lookup.

use crate::reason::Reason;

/// The reason that an error reply stands for; `code` is its first word, `text` the rest
/// (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
pub fn reason(code: &str, text: &str) -> Reason {
    match code {
        "ERR" if text.starts_with("unknown command") => Reason::NoPerm,
        "NOAUTH" | "WRONGPASS" => Reason::NoAuth,
        "NOPERM" => Reason::NoPerm,
        "LOADING" => Reason::Loading,
        "WRONGTYPE" => Reason::WrongType,
        "OOM" => Reason::Oom,
        "READONLY" => Reason::ReadOnly,
        "MOVED" | "ASK" | "CLUSTERDOWN" | "TRYAGAIN" => Reason::Moved,
        "MASTERDOWN" => Reason::MasterDown,
        _ => Reason::ErrorReply,
    }
}
