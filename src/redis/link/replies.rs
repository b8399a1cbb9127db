//! What the bytes that came mean.

use super::{Event, Link, Phase, Sent};
use crate::fault::Fault;
use crate::reason::Reason;
use crate::redis::handshake::{Handshake, Line, Next};
use crate::redis::query::Query;
use crate::redis::reader::{Admit, Frame, LARGE, SMALL};

/// A value that is larger than its limit by this much is read and dropped; one that is larger
/// still costs the connection.
const MAX_SKIPPED: usize = 1024 * 1024;

impl Link {
    /// The next thing that the bytes read so far mean; `None` asks for more bytes. `admit`
    /// decides whether a value of so many bytes is kept, given the lookup it answers. An error
    /// is the end of the connection: see [`Self::end`].
    pub fn next(
        &mut self,
        mut admit: impl FnMut(&Query, usize) -> Admit,
    ) -> Result<Option<Event>, Fault> {
        loop {
            let head = self.in_flight.front();
            self.reader.expect(match head {
                Some(Sent::Errand(_)) => LARGE,
                _ => SMALL,
            });
            let frame = self.reader.next(|size| match head {
                Some(Sent::Query(query)) if size <= query.max_size() + MAX_SKIPPED => {
                    admit(query, size)
                }
                Some(Sent::Query(_)) => Admit::Refuse,
                _ if size > MAX_SKIPPED => Admit::Refuse,
                _ => Admit::Take,
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = match frame {
                Frame::Push(message) => return Ok(Some(Event::Push(message))),
                other => other,
            };
            if let Phase::Introducing(_) = &self.phase {
                match self.introduce(&frame)? {
                    Some(handshake) => return Ok(Some(Event::Ready(handshake))),
                    None => continue,
                }
            }
            return match self.in_flight.pop_front() {
                Some(Sent::Errand(task)) => Ok(Some(Event::Errand(task, frame))),
                Some(Sent::Asking) => continue,
                Some(Sent::Query(query)) if !is_reply_to(&query, &frame) => {
                    self.in_flight.push_front(Sent::Query(query));
                    Err(Reason::Protocol.into())
                }
                Some(Sent::Query(query)) => {
                    self.replies += 1;
                    if let Frame::Value(value) = &frame {
                        self.window.saw(value.len());
                    }
                    Ok(Some(Event::Reply(query, frame)))
                }
                None => Err(Reason::Protocol.into()),
            };
        }
    }

    /// Goes on with the handshake; it is returned when it is over.
    fn introduce(&mut self, frame: &Frame) -> Result<Option<Handshake>, Fault> {
        let Phase::Introducing(handshake) = &mut self.phase else { return Ok(None) };
        let answer = match frame {
            Frame::Error(code, text) => Line::Error(code, text),
            Frame::Other(reply) => Line::Fine(reply),
            _ => Line::Fine(b""),
        };
        match handshake.on_reply(answer) {
            Next::Read => return Ok(None),
            Next::Write(bytes) => {
                self.out.extend_from_slice(&bytes);
                return Ok(None);
            }
            Next::Fail(fault) => return Err(fault),
            Next::Ready if !self.reader.is_at_rest() => return Err(Reason::Protocol.into()),
            Next::Ready => {}
        }
        self.resp3 = handshake.speaks_resp3();
        self.pay(true);
        match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Introducing(handshake) => Ok(Some(handshake)),
            _ => Ok(None),
        }
    }
}

/// Whether `frame` can be the reply: a string or nil to a lookup, anything but a string to a
/// command that writes.
fn is_reply_to(query: &Query, frame: &Frame) -> bool {
    match frame {
        Frame::Other(_) => query.writes(),
        Frame::Value(_) | Frame::Skipped(_) => !query.writes(),
        Frame::Nil | Frame::Error(..) | Frame::Push(_) => true,
    }
}
