//! A fault, with what was behind it in the words of the system, of OpenSSL or of the server: what
//! the error log needs beside the reason.

use std::fmt::Write;
use std::io;
use std::rc::Rc;

use crate::reason::Reason;

/// How much of a cause is shown, in characters.
const LONGEST: usize = 200;

/// A reason and its cause, where one is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The one word.
    pub reason: Reason,
    /// What was behind it, fit for a line in a log.
    pub cause: Option<Rc<str>>,
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { reason, cause: None }
    }
}

impl Fault {
    /// A fault with its cause, which is cut and escaped.
    pub fn new(reason: Reason, cause: &str) -> Self {
        let cause = shown(cause);
        Self { reason, cause: (!cause.is_empty()).then(|| cause.into()) }
    }

    /// A fault that the system reported: `13: Permission denied`, as nginx writes it.
    pub fn of_system(reason: Reason, error: &io::Error) -> Self {
        let text = error.to_string();
        match error.raw_os_error() {
            Some(number) => {
                let code = format!(" (os error {number})");
                let text = text.strip_suffix(&code).unwrap_or(&text);
                Self::new(reason, &format!("{number}: {text}"))
            }
            None => reason.into(),
        }
    }

    /// The same, with more to its cause.
    pub fn with(self, more: &str) -> Self {
        match &self.cause {
            Some(cause) => Self::new(self.reason, &format!("{cause}, {more}")),
            None => Self::new(self.reason, more),
        }
    }
}

/// A text in one line of sane length, without control characters.
fn shown(text: &str) -> String {
    let mut line = String::new();
    for (at, letter) in text.trim().chars().enumerate() {
        if at == LONGEST {
            line.push_str("...");
            break;
        }
        match letter {
            letter if letter.is_control() => {
                let _ = write!(line, "\\x{:02X}", u32::from(letter));
            }
            letter => line.push(letter),
        }
    }
    line
}

/// What nginx says in a line of its own: `13: Permission denied` of
/// `<time> [crit] 7#7: *1 connect() to Redis failed (13: Permission denied)`, else the whole
/// sentence.
pub fn said_by_nginx(line: &str) -> &str {
    let behind = line.split_once('#').and_then(|(_, behind)| behind.split_once(": "));
    let sentence = behind.map_or(line, |(_, sentence)| sentence);
    let sentence = match sentence.strip_prefix('*') {
        Some(rest) => rest.split_once(' ').map_or(rest, |(_, sentence)| sentence),
        None => sentence,
    };
    let within = sentence.trim_end().strip_suffix(')').and_then(|text| text.split_once(" ("));
    within.map_or(sentence, |(_, within)| within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_line_of_sane_length() {
        let fault = Fault::new(Reason::ErrorReply, " ERR a\r\nb\x1b[1m\t ");
        assert_eq!(fault.cause.as_deref(), Some("ERR a\\x0D\\x0Ab\\x1B[1m"));
        let long = Fault::new(Reason::ErrorReply, &"ü".repeat(1000)).cause.unwrap();
        assert_eq!(*long, format!("{}...", "ü".repeat(LONGEST)));
        assert_eq!(Fault::new(Reason::Closed, " "), Reason::Closed.into());
    }

    #[test]
    fn the_system_is_quoted_as_nginx_does() {
        let denied = io::Error::from_raw_os_error(13);
        let fault = Fault::of_system(Reason::Refused, &denied);
        assert_eq!(fault.cause.as_deref(), Some("13: Permission denied"));
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(Fault::of_system(Reason::Closed, &end), Reason::Closed.into());
        assert_eq!(
            fault.with("after HELLO").cause.as_deref(),
            Some("13: Permission denied, after HELLO")
        );
    }

    #[test]
    fn what_nginx_says() {
        let begin = "2026/11/25 20:41:23 [crit] 714#715: ";
        for (line, wanted) in [
            ("*9 connect() to Redis failed (13: Permission denied)", "13: Permission denied"),
            ("socket() failed (24: Too many open files)", "24: Too many open files"),
            ("*9 8 worker_connections are not enough", "8 worker_connections are not enough"),
            (
                "*2 SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)",
                "SSL: error:0A00010B:SSL routines::wrong version number",
            ),
        ] {
            assert_eq!(said_by_nginx(&format!("{begin}{line}")), wanted);
        }
    }
}
