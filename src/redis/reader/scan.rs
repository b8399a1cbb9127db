//! Where a reply that is not a string ends. A reply that comes in many pieces is looked at once, not
//! anew with each piece, and how deep it may nest is limited.

use super::LARGE;
use crate::reason::Reason;

/// How deep a reply may nest.
const MAX_DEPTH: usize = 8;

/// How far a reply was looked at.
#[derive(Debug, Default)]
pub struct Scan {
    /// Where the element begins that is looked at next.
    at: usize,
    /// How many bytes of its first line are known to have no end.
    searched: usize,
    /// How many members are still to come of every aggregate around it.
    open: Vec<usize>,
}

impl Scan {
    /// Where the reply at the beginning of `input` ends; `None` where it is not whole yet. Later
    /// calls get the same bytes, and those that have come since.
    pub fn end_of(&mut self, input: &[u8]) -> Result<Option<usize>, Reason> {
        loop {
            let Some(members) = self.element(input)? else { return Ok(None) };
            if members > 0 {
                if self.open.len() >= MAX_DEPTH {
                    return Err(Reason::Protocol);
                }
                self.open.push(members);
                continue;
            }
            while let Some(left) = self.open.pop() {
                if left > 1 {
                    self.open.push(left - 1);
                    break;
                }
            }
            if self.open.is_empty() {
                return Ok(Some(self.at));
            }
        }
    }

    /// Goes behind a scalar, or behind the first line of an aggregate; the number of its members.
    fn element(&mut self, input: &[u8]) -> Result<Option<usize>, Reason> {
        let rest = input.get(self.at..).unwrap_or_default();
        let Some(kind) = rest.first() else { return Ok(None) };
        if !b"$!=*~>%|+-:,#_(".contains(kind) {
            return Err(Reason::Protocol);
        }
        let Some((line, head)) = line(rest, self.searched)? else {
            self.searched = rest.len() - 1;
            return Ok(None);
        };
        self.searched = 0;
        let (length, members) = match kind {
            b'$' | b'!' | b'=' if line != b"-1" => {
                let end = head.checked_add(number(line)?).ok_or(Reason::Protocol)?;
                if end > LARGE {
                    return Err(Reason::Protocol);
                }
                match rest.get(end..end + 2) {
                    Some(b"\r\n") => (end + 2, 0),
                    Some(_) => return Err(Reason::Protocol),
                    None => return Ok(None),
                }
            }
            b'*' | b'~' | b'>' if line != b"-1" => (head, number(line)?),
            b'%' if line != b"-1" => (head, number(line)?.saturating_mul(2)),
            // In an aggregate an attribute and what it speaks of are one member.
            b'|' => {
                let inner = usize::from(!self.open.is_empty());
                (head, number(line)?.saturating_mul(2).saturating_add(inner))
            }
            _ => (head, 0),
        };
        if members > LARGE {
            return Err(Reason::Protocol);
        }
        self.at += length;
        Ok(Some(members))
    }
}

/// The line behind the type byte, and where the next begins; `None` where it has no end yet. There
/// is none among the first `searched` bytes of it.
pub fn line(input: &[u8], searched: usize) -> Result<Option<(&[u8], usize)>, Reason> {
    let rest = input.get(1..).unwrap_or_default();
    let unsearched = rest.get(searched..).unwrap_or_default();
    let Some(found) = unsearched.iter().position(|&byte| byte == b'\n') else {
        return Ok(None);
    };
    let end = searched + found;
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Reason::Protocol)?;
    if line.contains(&b'\r') { Err(Reason::Protocol) } else { Ok(Some((line, end + 2))) }
}

/// A length or a count: digits alone, as Redis writes them.
pub fn number(digits: &[u8]) -> Result<usize, Reason> {
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Protocol);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Reason::Protocol)?;
    text.parse().map_err(|_| Reason::Protocol)
}
