//! A socket whose every read and write fits into what is left of one time budget, and that
//! refuses a reply beyond a size before it is taken into memory.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::endpoint::ServerAddr;
use crate::fault::Fault;
use crate::reason::Reason;

/// What a reply may add to its value: type, length, line ends.
const FRAME: usize = 64;

/// A connected socket.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
}

/// Why reading or writing failed.
pub fn fault_of(error: &io::Error) -> Fault {
    match error.kind() {
        // What a socket says whose time is up.
        io::ErrorKind::WouldBlock => Reason::Timeout.into(),
        io::ErrorKind::TimedOut => Fault::of_system(Reason::Timeout, error),
        io::ErrorKind::FileTooLarge => Reason::TooLarge.into(),
        io::ErrorKind::InvalidData => Reason::Protocol.into(),
        _ => Fault::of_system(Reason::Closed, error),
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Stream {
    /// Connects to the first of `addresses` that answers before `deadline`.
    pub fn connect(addresses: &[ServerAddr], deadline: Instant) -> Result<Self, Fault> {
        let mut fault = Fault::from(Reason::Refused);
        for address in addresses {
            let error = match Self::connect_one(address, deadline) {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let is_over = error.kind() == io::ErrorKind::TimedOut;
            if is_over || fault.reason == Reason::Refused {
                let reason = if is_over { Reason::Timeout } else { Reason::Refused };
                fault = Fault::of_system(reason, &error);
            }
        }
        Err(fault)
    }

    fn connect_one(address: &ServerAddr, deadline: Instant) -> io::Result<Self> {
        let (domain, address) = match address {
            ServerAddr::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            ServerAddr::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
        };
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if domain == Domain::UNIX {
            // It is connected at once, or not at all: a backlog that is full is EAGAIN.
            socket.set_nonblocking(true)?;
            socket.connect(&address)?;
            socket.set_nonblocking(false)?;
        } else {
            socket.connect_timeout(&address, left(deadline)?)?;
            socket.set_tcp_nodelay(true)?;
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
        }
        Ok(Self { socket })
    }

    /// Whether the peer neither closed the idle connection nor sent what nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let flags = libc_flags::PEEK_NOW;
        let peeked = self.socket.recv_with_flags(&mut byte, flags);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes all of `bytes` before `deadline`.
    pub fn write_all(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.set_write_timeout(Some(left(deadline)?))?;
            match (&self.socket).write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A reader for one reply.
    pub fn reply(&self, deadline: Instant, max_size: usize) -> ReplyReader<'_> {
        ReplyReader {
            stream: self,
            deadline,
            max_size,
            failure: None,
            count: 0,
            line_ends: 0,
            head: Vec::new(),
            last: 0,
        }
    }
}

mod libc_flags {
    /// `MSG_PEEK | MSG_DONTWAIT` of Linux's socket.h, which std and socket2 do not export.
    pub(super) const PEEK_NOW: i32 = 0x02 | 0x40;
}

/// Reads one reply, and knows afterwards whether the peer sent just that.
#[derive(Debug)]
pub struct ReplyReader<'a> {
    stream: &'a Stream,
    deadline: Instant,
    max_size: usize,
    failure: Option<Fault>,
    count: usize,
    line_ends: usize,
    /// The beginning of the reply: its type and, of a string, the length.
    head: Vec<u8>,
    last: u8,
}

impl ReplyReader<'_> {
    /// Why reading ended early, if it did.
    pub fn failure(&mut self) -> Option<Fault> {
        self.failure.take()
    }

    /// Whether not one byte of the reply arrived.
    pub fn is_untouched(&self) -> bool {
        self.count == 0
    }

    /// Whether the bytes read are one string reply of `length` bytes and nothing more.
    pub fn is_just_a_string_of(&self, length: usize) -> bool {
        self.count == 1 + length.to_string().len() + 2 + length + 2
    }

    /// Whether the bytes read are one line and nothing more: an error, a nil.
    pub fn is_just_a_line(&self) -> bool {
        self.line_ends == 1 && self.last == b'\n'
    }

    /// Refuses a string whose announced length is beyond the limit before its body is read, and
    /// a negative length other than that of a nil.
    fn check(&mut self, read: &[u8]) -> io::Result<()> {
        if self.head.len() < FRAME {
            self.head.extend(read.iter().take(FRAME - self.head.len()));
            self.check_length()?;
        }
        self.count += read.len();
        if self.count > self.max_size.saturating_add(FRAME) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.head.first() != Some(&b'$') || self.count <= FRAME {
            self.line_ends += read.iter().filter(|&&byte| byte == b'\n').count();
        }
        self.last = read.last().copied().unwrap_or(self.last);
        Ok(())
    }

    fn check_length(&self) -> io::Result<()> {
        let Some(rest) = self.head.strip_prefix(b"$") else { return Ok(()) };
        let Some(end) = rest.iter().position(|&byte| byte == b'\r') else { return Ok(()) };
        let length = std::str::from_utf8(rest.get(..end).unwrap_or_default()).unwrap_or_default();
        match length.parse::<usize>() {
            Ok(length) if length > self.max_size => Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => Ok(()),
            Err(_) if length == "-1" => Ok(()),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl ReplyReader<'_> {
    fn read_checked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.socket.set_read_timeout(Some(left(self.deadline)?))?;
            match (&self.stream.socket).read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.check(buffer.get(..read).unwrap_or_default())?;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for ReplyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_checked(buffer);
        self.failure = read.as_ref().err().map(fault_of);
        read
    }
}
