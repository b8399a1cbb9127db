//! Replies out of a stream of bytes, as they arrive: RESP2 and RESP3
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! A string that lies whole in the read buffer is taken out of it without a copy, a small one
//! with one, so that it does not keep the buffer alive; a larger one gets memory of its own, into
//! which the rest is read straight. Every terminator is checked: a shifted stream is a fault,
//! never somebody else's page.

use bytes::{Bytes, BytesMut};

use crate::reason::Reason;

/// Room for one read, in bytes.
const READ: usize = 64 * 1024;

/// A string up to this size is copied out of the read buffer.
const COPIED: usize = 4 * 1024;

/// The largest reply that is not a string: an error, a reply to HELLO, a push.
pub const SMALL: usize = 64 * 1024;

/// The same where a large one is expected, such as the slots of a cluster.
pub const LARGE: usize = 1024 * 1024;

/// How deep such a reply may nest.
const MAX_DEPTH: usize = 8;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A string.
    Value(Bytes),
    /// A string of so many bytes that was not wanted.
    Skipped(usize),
    /// Null.
    Nil,
    /// An error: its first word, and the rest.
    Error(String, String),
    /// Any other reply, as it came.
    Other(Bytes),
    /// A push message, which answers nothing, as it came.
    Push(Bytes),
}

/// What becomes of a string whose length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It is kept.
    Take,
    /// It is dropped as it arrives.
    Skip,
    /// It is not worth reading: the stream ends with [`Reason::TooLarge`].
    Refuse,
}

/// What the reader is in the middle of.
#[derive(Debug)]
enum State {
    Frame,
    /// A string read into memory of its own, terminator included.
    Body(BytesMut),
    /// A string that is dropped: its size, and the bytes to come, terminator included.
    Skip(usize, usize),
}

/// The bytes of one connection.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    state: State,
    largest: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), state: State::Frame, largest: SMALL }
    }
}

impl Reader {
    /// Where the next bytes go: appended up to the capacity, and no further.
    pub fn space(&mut self) -> &mut BytesMut {
        match &mut self.state {
            State::Body(body) if body.len() < body.capacity() => body,
            _ => {
                if self.buffer.capacity() - self.buffer.len() < READ / 4 {
                    self.buffer.reserve(READ);
                }
                &mut self.buffer
            }
        }
    }

    /// Takes replies that are not strings up to [`SMALL`] or [`LARGE`] bytes.
    pub fn expect(&mut self, largest: usize) {
        self.largest = largest;
    }

    /// Whether it is between two replies, and nothing unread lies in the buffer.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Frame) && self.buffer.is_empty()
    }

    /// The next whole reply; `None` asks for more bytes. `admit` decides over a string when its
    /// length is known. An error, [`Reason::Protocol`] or [`Reason::TooLarge`], ends the stream.
    pub fn next(&mut self, admit: impl FnOnce(usize) -> Admit) -> Result<Option<Frame>, Reason> {
        match self.state {
            State::Frame => self.next_frame(admit),
            State::Body(_) | State::Skip(..) => self.go_on(),
        }
    }

    /// Goes on with a string that was begun.
    fn go_on(&mut self) -> Result<Option<Frame>, Reason> {
        match &mut self.state {
            State::Frame => Ok(None),
            State::Body(body) => {
                if body.len() < body.capacity() {
                    return Ok(None);
                }
                let mut body = std::mem::take(body);
                self.state = State::Frame;
                strip_terminator(&mut body)?;
                Ok(Some(Frame::Value(body.freeze())))
            }
            State::Skip(size, left) => {
                let size = *size;
                let body = left.saturating_sub(2).min(self.buffer.len());
                let _ = self.buffer.split_to(body);
                *left -= body;
                if *left > 2 || self.buffer.len() < 2 {
                    return Ok(None);
                }
                self.state = State::Frame;
                strip_terminator(&mut self.buffer.split_to(2))?;
                Ok(Some(Frame::Skipped(size)))
            }
        }
    }

    fn next_frame(&mut self, admit: impl FnOnce(usize) -> Admit) -> Result<Option<Frame>, Reason> {
        let Some(kind) = self.buffer.first().copied() else { return Ok(None) };
        if kind == b'$' {
            return self.next_string(admit);
        }
        let Some(length) = skip(&self.buffer, 0)? else {
            return if self.buffer.len() > self.largest { Err(Reason::Protocol) } else { Ok(None) };
        };
        let frame = self.buffer.split_to(length);
        Ok(Some(match kind {
            b'_' => Frame::Nil,
            b'-' | b'!' => error(&frame),
            b'>' => Frame::Push(frame.freeze()),
            // An attribute stands in front of the reply that it speaks of.
            b'|' => return self.next_frame(admit),
            _ => Frame::Other(frame.freeze()),
        }))
    }

    fn next_string(&mut self, admit: impl FnOnce(usize) -> Admit) -> Result<Option<Frame>, Reason> {
        let Some((line, head)) = line(&self.buffer, 0)? else { return Ok(None) };
        if line == b"-1" {
            let _ = self.buffer.split_to(head);
            return Ok(Some(Frame::Nil));
        }
        let length = number(line)?;
        let whole = length.checked_add(2).ok_or(Reason::Protocol)?;
        let admitted = admit(length);
        let _ = self.buffer.split_to(head);
        if admitted == Admit::Refuse {
            return Err(Reason::TooLarge);
        }
        if admitted == Admit::Skip {
            self.state = State::Skip(length, whole);
        } else if self.buffer.len() >= whole {
            let mut body = self.buffer.split_to(whole);
            strip_terminator(&mut body)?;
            let value =
                if length <= COPIED { Bytes::copy_from_slice(&body) } else { body.freeze() };
            return Ok(Some(Frame::Value(value)));
        } else {
            let mut body = BytesMut::with_capacity(whole);
            body.extend_from_slice(&self.buffer.split());
            self.state = State::Body(exactly(body, whole));
        }
        self.go_on()
    }
}

/// A buffer whose capacity is `whole`: an allocator may give more than was asked for.
fn exactly(mut body: BytesMut, whole: usize) -> BytesMut {
    if body.capacity() > whole {
        let _ = body.split_off(whole);
    }
    body
}

fn strip_terminator(body: &mut BytesMut) -> Result<(), Reason> {
    if !body.ends_with(b"\r\n") {
        return Err(Reason::Protocol);
    }
    body.truncate(body.len() - 2);
    Ok(())
}

/// The line behind the type byte at `at`, and where it ends.
fn line(input: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Reason> {
    let rest = input.get(at + 1..).unwrap_or_default();
    let Some(end) = rest.iter().take(LARGE).position(|&byte| byte == b'\n') else {
        return Ok(None);
    };
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Reason::Protocol)?;
    if line.contains(&b'\r') { Err(Reason::Protocol) } else { Ok(Some((line, at + end + 2))) }
}

/// A length or a count: digits alone, as Redis writes them.
fn number(digits: &[u8]) -> Result<usize, Reason> {
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reason::Protocol);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Reason::Protocol)?;
    text.parse().map_err(|_| Reason::Protocol)
}

/// Where the reply at the beginning of `input` ends; `None` where it is not whole yet.
fn skip(input: &[u8], depth: usize) -> Result<Option<usize>, Reason> {
    if depth > MAX_DEPTH {
        return Err(Reason::Protocol);
    }
    let Some(kind) = input.first() else { return Ok(None) };
    if !b"$!=*~>%|+-:,#_(".contains(kind) {
        return Err(Reason::Protocol);
    }
    let Some((line, head)) = line(input, 0)? else { return Ok(None) };
    match kind {
        b'$' | b'!' | b'=' if line != b"-1" => {
            let end = head.checked_add(number(line)?).ok_or(Reason::Protocol)?;
            if end > LARGE {
                return Err(Reason::Protocol);
            }
            match input.get(end..end + 2) {
                Some(b"\r\n") => Ok(Some(end + 2)),
                Some(_) => Err(Reason::Protocol),
                None => Ok(None),
            }
        }
        b'*' | b'~' | b'>' | b'%' | b'|' if line != b"-1" => {
            let members = number(line)?;
            let twice = matches!(kind, b'%' | b'|');
            let members = if twice { members.checked_mul(2) } else { Some(members) };
            skip_members(input, head, members.unwrap_or(usize::MAX), depth)
        }
        _ => Ok(Some(head)),
    }
}

fn skip_members(
    input: &[u8],
    head: usize,
    members: usize,
    depth: usize,
) -> Result<Option<usize>, Reason> {
    if members > LARGE {
        return Err(Reason::Protocol);
    }
    let mut end = head;
    for _ in 0..members {
        match skip(input.get(end..).unwrap_or_default(), depth + 1)? {
            Some(length) => end += length,
            None => return Ok(None),
        }
    }
    Ok(Some(end))
}

fn error(frame: &[u8]) -> Frame {
    let mut lines = frame.splitn(2, |&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let text = if first.first() == Some(&b'!') { lines.next().unwrap_or_default() } else { first };
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('-').trim_end();
    let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
    Frame::Error(code.to_owned(), rest.to_owned())
}

#[cfg(test)]
mod tests;
