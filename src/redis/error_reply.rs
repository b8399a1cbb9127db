//! What an error reply of Redis means for a lookup.

use crate::reason::Reason;

/// How Redis 6 begins where a command in a script failed; its error stands behind a colon.
const IN_A_SCRIPT: &str = "Error running script";

/// A script that holds a command to which its user has no right.
const NO_RIGHT_IN_A_SCRIPT: &str = "The user executing the script can't run this command";

/// The reason that an error reply stands for; `code` is its first word, `text` the rest
/// (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
pub fn reason(code: &str, text: &str) -> Reason {
    match code {
        "ERR" if text.starts_with("unknown command") => Reason::NoPerm,
        "ERR" if text.contains(NO_RIGHT_IN_A_SCRIPT) => Reason::NoPerm,
        "ERR" => inner(text).map_or(Reason::ErrorReply, |(code, text)| reason(code, text)),
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

/// Code and text of the error that ended a script.
fn inner(text: &str) -> Option<(&str, &str)> {
    let (_, error) = text.strip_prefix(IN_A_SCRIPT)?.split_once(": -")?;
    error.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_script() {
        let of_redis_6 = |error| {
            let script = "Error running script (call to f_bd6f): @user_script:1: @user_script: 1";
            reason("ERR", &format!("{script}: {error}"))
        };
        assert_eq!(of_redis_6("-OOM command not allowed when used memory > "), Reason::Oom);
        assert_eq!(of_redis_6("-READONLY You can't write against a r"), Reason::ReadOnly);
        assert_eq!(of_redis_6("-ERR Error running script"), Reason::ErrorReply);
        assert_eq!(of_redis_6("Wrong number of args"), Reason::ErrorReply);
        let no_right = "The user executing the script can't run this command or subcommand";
        assert_eq!(of_redis_6(no_right), Reason::NoPerm);
        assert_eq!(reason("ERR", &format!("{no_right} script: bd07, on @u:1.")), Reason::NoPerm);
        assert_eq!(reason("ERR", "no such key: -OOM x"), Reason::ErrorReply);
    }
}
