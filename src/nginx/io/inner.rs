//! A client of our own on nginx's event loop: it has sent its request, and reads the answer away.

use std::io::{ErrorKind, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::rc::Rc;

use ngx::ffi::{
    ngx_close_connection, ngx_connection_t, ngx_cycle, ngx_event_t, ngx_get_connection,
    ngx_handle_read_event,
};

use crate::nginx::sys::request::Request;
use crate::nginx::sys::{glue, rc, str_over};

/// What is to happen when the answer is over.
type OnEnd = Rc<dyn Fn()>;

/// The client's end of the connection.
pub(in crate::nginx) struct Inner {
    connection: NonNull<ngx_connection_t>,
    /// nginx holds a pointer to it.
    on_end: Box<OnEnd>,
}

impl Inner {
    /// Sends `text` to the server that `request` came to, as if from `peer`; the number of the
    /// connection tells the request that nginx makes of it. What `on_end` makes is called once the
    /// answer is over, never before this returns, and drops the client.
    pub fn send(
        request: Request,
        peer: &[u8],
        text: &[u8],
        on_end: impl FnOnce(usize) -> OnEnd,
    ) -> Option<(usize, Self)> {
        let (mut peer, mut number) = (str_over(peer), 0);
        // SAFETY: the request is alive; nginx reads the address during the call alone, and the
        // descriptor is ours.
        let mut stream = unsafe {
            let fd = glue::connect_to_self(request.as_ptr(), &raw mut peer, &raw mut number);
            (fd >= 0).then(|| UnixStream::from_raw_fd(fd))?
        };
        let number = usize::try_from(number).ok()?;
        // A request that does not fit into the socket at once is too long to be worth it.
        if stream.write(text).ok()? != text.len() {
            return None;
        }
        // SAFETY: nginx's cycle is set while a worker runs.
        let log = unsafe { (*ngx_cycle).log };
        // SAFETY: the descriptor is open; the connection owns it from now on.
        let connection = unsafe {
            let connection = NonNull::new(ngx_get_connection(stream.as_raw_fd(), log))?;
            _ = stream.into_raw_fd();
            connection
        };
        let inner = Self { connection, on_end: Box::new(on_end(number)) };
        let raw = connection.as_ptr();
        // SAFETY: the connection is open, and what its data points at lives as long as it.
        let is_armed = unsafe {
            (*raw).log = log;
            (*raw).data = (&raw const *inner.on_end).cast_mut().cast();
            (*(*raw).read).log = log;
            (*(*raw).write).log = log;
            (*(*raw).read).handler = Some(on_read);
            (*(*raw).write).handler = Some(ignore);
            ngx_handle_read_event((*raw).read, 0) == rc::OK
        };
        is_armed.then_some((number, inner))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the connection is open.
        unsafe { ngx_close_connection(self.connection.as_ptr()) };
    }
}

/// Reads away what there is.
unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    // SAFETY: nginx passes the event of a connection that `send` has made; its descriptor stays open
    // until the client is dropped, which nothing does before `on_end` is called.
    let (stream, on_end) = unsafe {
        let connection = (*event).data.cast::<ngx_connection_t>();
        let stream = ManuallyDrop::new(UnixStream::from_raw_fd((*connection).fd));
        (stream, Rc::clone(&*(*connection).data.cast::<OnEnd>()))
    };
    if is_over(&stream) {
        return on_end();
    }
    // SAFETY: as above; nginx is to tell of what comes next.
    let is_armed = unsafe {
        (*event).set_ready(0);
        ngx_handle_read_event(event, 0) == rc::OK
    };
    if !is_armed {
        on_end();
    }
}

/// Reads away what there is. Whether no more will come.
fn is_over(mut stream: &UnixStream) -> bool {
    let mut buffer = [0; 16 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                kind => return kind != ErrorKind::WouldBlock,
            },
        }
    }
}

unsafe extern "C" fn ignore(_: *mut ngx_event_t) {}
