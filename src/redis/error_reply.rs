//! What an error reply of Redis means for a lookup.

use crate::fault::Fault;
use crate::reason::Reason;

/// How Redis 6 begins where a command in a script failed; its error stands behind a colon.
const IN_A_SCRIPT: &str = "Error running script";

/// A script that holds a command to which its user has no right.
const NO_RIGHT_IN_A_SCRIPT: &str = "The user executing the script can't run this command";

/// What stands in the place of what is not shown.
const ELIDED: &str = "...";

/// The longest name of a command or a subcommand, more or less.
const LONGEST_WORD: usize = 32;

/// The reason that an error reply stands for; `code` is its first word, `text` the rest
/// (<https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).
pub fn reason(code: &str, text: &str) -> Reason {
    match code {
        "ERR" | "unsupported" if is_unknown_command(code, text) => Reason::NoPerm,
        "ERR" if text.contains(NO_RIGHT_IN_A_SCRIPT) => Reason::NoPerm,
        "ERR" => inner(text).map_or(Reason::ErrorReply, of_code),
        code => of_code(code),
    }
}

fn of_code(code: &str) -> Reason {
    match code {
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

/// Where a server of a cluster says that a key is
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// For this once (ASK), not for good (MOVED).
    pub is_ask: bool,
    /// The slot and the address, as the server wrote them.
    pub target: String,
}

impl Redirect {
    /// The redirection that an error reply is, if it is one.
    pub fn parse(code: &str, text: &str) -> Option<Self> {
        let is_ask = match code {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        Some(Self { is_ask, target: text.to_owned() })
    }
}

/// Whether the server does not know the command, or a proxy does not pass it on.
fn is_unknown_command(code: &str, text: &str) -> bool {
    match code {
        "ERR" => ["unknown", "unsupported"]
            .iter()
            .any(|word| text.strip_prefix(word).is_some_and(|rest| rest.starts_with(" command"))),
        // Envoy leaves the code out.
        "unsupported" => text.starts_with("command"),
        _ => false,
    }
}

/// The fault that an error reply stands for. Its text is the cause, without what it may repeat of
/// the command: `secrets` are arguments that appear nowhere.
pub fn fault(code: &str, text: &str, secrets: &[&[u8]]) -> Fault {
    let without_secrets = |cause: String| {
        let secrets = secrets.iter().filter(|secret| !secret.is_empty());
        secrets
            .fold(cause, |cause, secret| cause.replace(&*String::from_utf8_lossy(secret), ELIDED))
    };
    let cause = without_arguments(&without_secrets(format!("{code} {text}")));
    // Once more: what is left when quotes are taken off may be a secret.
    Fault::new(reason(code, text), &without_secrets(cause))
}

/// A text without the arguments that Redis repeats of a command that it does not know
/// (`unknown command 'X', with args beginning with: 'a' 'b'`), and without anything quoted that is
/// no plain word, as the name of a command is: servers of other makers may quote what they like.
fn without_arguments(text: &str) -> String {
    let mut rest = text.split_once(", with args").map_or(text, |(text, _)| text);
    let mut kept = String::new();
    while let Some(at) = opening_quote(rest) {
        let (before, quoted) = rest.split_at(at);
        let mut letters = quoted.chars();
        let quote = letters.next().unwrap_or_default();
        let quoted = letters.as_str();
        let (word, behind) = quoted.split_once(quote).unwrap_or((quoted, ""));
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_|-".contains(&b);
        let shown = word.len() <= LONGEST_WORD && word.bytes().all(is_plain);
        kept.extend([before, if shown { word } else { ELIDED }]);
        rest = behind;
    }
    kept + rest
}

/// Where a quotation begins: not within a word, as in `can't`.
fn opening_quote(text: &str) -> Option<usize> {
    let within_word =
        |at: usize| text.get(..at).is_some_and(|b| b.ends_with(char::is_alphanumeric));
    text.match_indices(['\'', '"', '`']).map(|(at, _)| at).find(|&at| !within_word(at))
}

/// The code of the error that ended a script. A script within it is not looked into.
fn inner(text: &str) -> Option<&str> {
    let (_, error) = text.strip_prefix(IN_A_SCRIPT)?.split_once(": -")?;
    error.split_once(' ').map(|(code, _)| code)
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
        let nested = ": -ERR Error running script".repeat(100_000) + ": -OOM x";
        assert_eq!(reason("ERR", &format!("Error running script{nested}")), Reason::ErrorReply);
        assert_eq!(reason("ERR", "no such key: -OOM x"), Reason::ErrorReply);
    }

    #[test]
    fn commands_that_are_not_known() {
        assert_eq!(reason("ERR", "unknown command 'EVAL'"), Reason::NoPerm);
        assert_eq!(reason("ERR", "unsupported command `eval`"), Reason::NoPerm);
        assert_eq!(reason("unsupported", "command 'EVAL'"), Reason::NoPerm);
        assert_eq!(reason("ERR", "an unknown command"), Reason::ErrorReply);
        assert_eq!(reason("unsupported", "yet"), Reason::ErrorReply);
    }

    #[test]
    fn arguments_are_not_shown() {
        let cause =
            |text, secrets: &[&[u8]]| fault("ERR", text, secrets).cause.unwrap().to_string();
        for (text, wanted) in [
            ("max number of clients reached", "ERR max number of clients reached"),
            (
                "unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'u' 'w0rd' ",
                "ERR unknown command HELLO",
            ),
            (
                "unknown command `HELLO`, with args beginning with: `3`, ",
                "ERR unknown command HELLO",
            ),
            ("can't run 'set' with 'a page <b>' here", "ERR can't run set with ... here"),
            ("no such thing: \"SET k v", "ERR no such thing: ..."),
        ] {
            assert_eq!(cause(text, &[]), wanted);
        }
        assert_eq!(cause("AUTH w0rd x 'w0rd'", &[b"w0rd", b""]), "ERR AUTH ... x ...");
        assert_eq!(cause("no 'w'0rd or 'w'-0rd", &[b"w0rd"]), "ERR no ... or w-0rd");
        let no_right = fault("NOPERM", "User x has no permissions to run the 'get' command", &[]);
        assert_eq!(no_right.reason, Reason::NoPerm);
        let shown = "NOPERM User x has no permissions to run the get command";
        assert_eq!(no_right.cause.as_deref(), Some(shown));
    }
}
