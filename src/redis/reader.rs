//! Replies out of a stream of bytes, as they arrive: RESP2 and RESP3
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! A string that lies whole in the read buffer is taken out of it without a copy, a small one
//! with one, so that it does not keep the buffer alive; a larger one gets memory of its own, into
//! which the rest is read straight. Every terminator is checked: a shifted stream is a fault,
//! never somebody else's page.

use bytes::{Bytes, BytesMut};

use self::scan::{Scan, line, number};
use crate::reason::Reason;

/// Room for one read, in bytes.
const READ: usize = 64 * 1024;

/// A string up to this size is copied out of the read buffer.
const COPIED: usize = 4 * 1024;

/// The largest reply that is not a string: an error, a reply to HELLO, a push.
pub const SMALL: usize = 64 * 1024;

/// The same where a large one is expected, such as the slots of a cluster.
pub const LARGE: usize = 1024 * 1024;

/// The longest first line of a string: its length.
const MAX_LENGTH_LINE: usize = 32;

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
    /// How far the reply at the beginning of the buffer was looked at.
    scan: Scan,
    /// The bytes of attributes that were read in front of it.
    attributes: usize,
    largest: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            state: State::Frame,
            scan: Scan::default(),
            attributes: 0,
            largest: SMALL,
        }
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

    /// Takes replies that are not strings up to [`SMALL`] or [`LARGE`] bytes, and as many bytes of
    /// attributes in front of any reply.
    pub fn expect(&mut self, largest: usize) {
        self.largest = largest;
    }

    /// Whether it is between two replies, and nothing unread lies in the buffer.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Frame) && self.buffer.is_empty() && self.attributes == 0
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
        loop {
            let Some(kind) = self.buffer.first().copied() else { return Ok(None) };
            if kind == b'$' {
                return self.next_string(admit);
            }
            let Some(length) = self.scan.end_of(&self.buffer)? else {
                let is_too_long = self.buffer.len() > self.largest;
                return if is_too_long { Err(Reason::Protocol) } else { Ok(None) };
            };
            let frame = self.buffer.split_to(length);
            self.scan = Scan::default();
            // An attribute stands in front of the reply that it speaks of.
            if kind == b'|' {
                self.attributes += length;
                if self.attributes > self.largest {
                    return Err(Reason::Protocol);
                }
                continue;
            }
            self.attributes = 0;
            return Ok(Some(match kind {
                b'_' => Frame::Nil,
                b'-' | b'!' => error(&frame),
                b'>' => Frame::Push(frame.freeze()),
                _ => Frame::Other(frame.freeze()),
            }));
        }
    }

    fn next_string(&mut self, admit: impl FnOnce(usize) -> Admit) -> Result<Option<Frame>, Reason> {
        let begin = self.buffer.get(..MAX_LENGTH_LINE).unwrap_or(&self.buffer);
        let Some((line, head)) = line(begin, 0)? else {
            let is_too_long = begin.len() == MAX_LENGTH_LINE;
            return if is_too_long { Err(Reason::Protocol) } else { Ok(None) };
        };
        self.attributes = 0;
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

fn error(frame: &[u8]) -> Frame {
    let mut lines = frame.splitn(2, |&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let text = if first.first() == Some(&b'!') { lines.next().unwrap_or_default() } else { first };
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('-').trim_end();
    let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
    Frame::Error(code.to_owned(), rest.to_owned())
}

mod scan;
#[cfg(test)]
mod tests;
