//! One socket on nginx's event loop: connecting, sending, receiving, timers. Its events go to whoever
//! owns it.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use ngx::ffi::{
    NGX_AGAIN, ngx_add_timer, ngx_close_connection, ngx_connection_t, ngx_del_timer,
    ngx_event_connect_peer, ngx_event_get_peer, ngx_event_t, ngx_handle_read_event,
    ngx_handle_write_event, ngx_int_t, ngx_peer_connection_t, ngx_post_event,
    ngx_posted_next_events, ngx_tcp_nodelay,
};
use socket2::SockAddr;

use super::said::Said;
use super::tls::{Tls, TlsContext, TlsSession};
use crate::engine::{Progress, Socket, TlsProgress};
use crate::fault::Fault;
use crate::nginx::sys::{rc, str_over};
use crate::reason::Reason;
use crate::redis::endpoint::Address;

/// What happens to a socket.
#[derive(Clone, Copy)]
pub(in crate::nginx) enum Event {
    Read,
    Write,
}

/// Whose socket it is; `ngx_connection_t.data` points here.
pub(in crate::nginx) struct Owner {
    on_event: Box<dyn Fn(Event)>,
    /// Present where the endpoint is spoken to over TLS.
    tls: Option<&'static TlsContext>,
    #[cfg_attr(not(ngx_feature = "ssl"), expect(dead_code, reason = "nobody has a session"))]
    pub session: TlsSession,
}

impl Owner {
    pub fn new(on_event: Box<dyn Fn(Event)>, tls: Option<&'static TlsContext>) -> Self {
        Self { on_event, tls, session: TlsSession::default() }
    }
}

/// An open socket.
pub(in crate::nginx) struct Peer {
    connection: NonNull<ngx_connection_t>,
    connected: bool,
    context: Option<&'static TlsContext>,
    tls: Option<Tls>,
    /// nginx holds a pointer to it.
    said: Box<Said>,
}

impl Peer {
    /// Begins to connect; an error is a failure at once.
    pub fn connect(address: &SockAddr, owner: &mut Owner) -> Result<Self, Fault> {
        let mut said = Said::new();
        let context = owner.tls;
        let Some((connection, connected)) = open(address, &mut said) else {
            return Err(said.fault(Reason::Refused));
        };
        let peer = Self { connection, connected, context, tls: None, said };
        let raw = peer.raw();
        // SAFETY: the connection is open.
        let is_ready = unsafe {
            (*raw).data = std::ptr::from_mut(owner).cast::<c_void>();
            (*(*raw).read).handler = Some(on_read);
            (*(*raw).write).handler = Some(on_write);
            address.is_unix() || ngx_tcp_nodelay(raw) == rc::OK
        };
        if is_ready {
            return Ok(peer);
        }
        let fault = peer.said.fault(Reason::Refused);
        peer.close();
        Err(fault)
    }

    fn raw(&self) -> *mut ngx_connection_t {
        self.connection.as_ptr()
    }

    unsafe fn wait_for_more(&self) -> Progress {
        // SAFETY: the connection is open.
        let armed = unsafe { ngx_handle_read_event((*self.raw()).read, 0) };
        if armed == rc::OK { Progress::Later } else { Progress::End }
    }
}

impl Socket for Peer {
    fn is_connected(&self) -> bool {
        self.connected
    }

    fn connect_failure(&self) -> Option<Fault> {
        if self.tls.is_some() {
            return None;
        }
        // SAFETY: the connection is open; the descriptor is borrowed for the call.
        let error = unsafe {
            let fd = std::os::fd::BorrowedFd::borrow_raw((*self.raw()).fd);
            socket2::SockRef::from(&fd).take_error()
        };
        let error = error.unwrap_or_else(Some)?;
        Some(Fault::of_system(Reason::Refused, &error))
    }

    fn secure(&mut self, server: &Address) -> TlsProgress {
        let Some(context) = self.context else { return TlsProgress::Done };
        if self.tls.is_none() {
            // SAFETY: the connection is open and has its owner; `close` ends TLS before it.
            match unsafe { Tls::start(self.raw(), context, context.name_of(server)) } {
                Ok((tls, goes_on)) => {
                    self.tls = Some(tls);
                    if goes_on {
                        return TlsProgress::Later;
                    }
                }
                Err(reason) => return TlsProgress::Failed(reason.into()),
            }
        }
        match &self.tls {
            // SAFETY: the connection is open, and it is that of the handshake.
            Some(tls) => unsafe { tls.outcome(self.raw(), &self.said) },
            None => TlsProgress::Failed(Reason::Internal.into()),
        }
    }

    fn end(&self) -> Fault {
        self.said.fault(match &self.tls {
            // SAFETY: as in `tls_progress`.
            Some(tls) if unsafe { tls.was_refused(self.raw()) } => Reason::Tls,
            _ => Reason::Closed,
        })
    }

    fn send(&self, bytes: &[u8]) -> Progress {
        // SAFETY: the connection is open; nginx reads the bytes during the call alone.
        unsafe {
            let Some(send) = (*self.raw()).send else { return Progress::End };
            let sent = send(self.raw(), bytes.as_ptr().cast_mut(), bytes.len());
            if let Ok(count @ 1..) = usize::try_from(sent) {
                return Progress::Bytes(count);
            }
            if sent != NGX_AGAIN as isize
                || ngx_handle_write_event((*self.raw()).write, 0) != rc::OK
            {
                return Progress::End;
            }
        }
        Progress::Later
    }

    fn receive(&self, space: &mut BytesMut) -> Progress {
        // SAFETY: the connection is open; nginx writes at most as many bytes as there is room,
        // and so many become part of `space`.
        unsafe {
            let read = (*self.raw()).read;
            let Some(receive) = (*self.raw()).recv else { return Progress::End };
            if (*read).ready() == 0 {
                return self.wait_for_more();
            }
            let room = space.chunk_mut();
            let received = receive(self.raw(), room.as_mut_ptr(), room.len());
            if let Ok(count @ 1..) = usize::try_from(received) {
                space.advance_mut(count);
                return Progress::Bytes(count);
            }
            if received != NGX_AGAIN as isize { Progress::End } else { self.wait_for_more() }
        }
    }

    fn read_on_in_next_turn(&self) {
        // SAFETY: the connection is open.
        unsafe { ngx_post_event((*self.raw()).read, &raw mut ngx_posted_next_events) }
    }

    fn set_connect_timer(&self, limit: Duration) {
        // SAFETY: the connection is open.
        unsafe { set_timer((*self.raw()).write, limit) }
    }

    fn clear_connect_timer(&self) {
        // SAFETY: the connection is open, and its timer is in nginx's tree if it is set.
        unsafe {
            let write = (*self.raw()).write;
            if (*write).timer_set() != 0 {
                ngx_del_timer(write);
            }
        }
    }

    fn connecting_timed_out(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { (*(*self.raw()).write).timedout() != 0 }
    }

    fn watch(&self, patience: Duration) {
        // SAFETY: the connection is open.
        unsafe {
            let read = (*self.raw()).read;
            if (*read).timer_set() == 0 {
                set_timer(read, patience);
            }
        }
    }

    fn watch_is_over(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe {
            let read = (*self.raw()).read;
            let over = (*read).timedout() != 0;
            (*read).set_timedout(0);
            over
        }
    }

    fn set_idle(&self, idle: bool) {
        // SAFETY: the connection is open.
        unsafe { (*self.raw()).set_idle(u32::from(idle)) }
    }

    fn is_told_to_close(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { (*self.raw()).close() != 0 }
    }

    fn close(self) {
        let connection = self.raw();
        // SAFETY: the connection is open, and nobody else closes it. Timers and posted events of
        // it go with it.
        unsafe {
            if let Some(tls) = self.tls {
                tls.close(connection);
            }
            ngx_close_connection(connection);
        }
    }
}

/// Has nginx open a connection, and whether it is made already.
fn open(address: &SockAddr, said: &mut Said) -> Option<(NonNull<ngx_connection_t>, bool)> {
    let mut name = str_over(b"Redis");
    // SAFETY: nginx reads address and name during the call alone, and keeps the log, which lives as
    // long as the socket; all zeros are a peer.
    unsafe {
        let mut peer: ngx_peer_connection_t = MaybeUninit::zeroed().assume_init();
        peer.sockaddr = address.as_ptr().cast_mut().cast();
        peer.socklen = address.len();
        peer.name = &raw mut name;
        peer.get = Some(ngx_event_get_peer);
        peer.log = said.log();
        peer.set_so_keepalive(u32::from(!address.is_unix()));
        let connecting = ngx_event_connect_peer(&raw mut peer);
        let connection = NonNull::new(peer.connection)?;
        if connecting != rc::OK && connecting != NGX_AGAIN as ngx_int_t {
            ngx_close_connection(connection.as_ptr());
            return None;
        }
        Some((connection, connecting == rc::OK))
    }
}

/// Sets a timer that does not keep an exiting worker: parked requests have their own.
unsafe fn set_timer(event: *mut ngx_event_t, after: Duration) {
    let millis = usize::try_from(after.as_millis()).unwrap_or(usize::MAX).max(1);
    // SAFETY: the event is that of an open connection. nginx ignores small moves of a timer, so
    // it is deleted first.
    unsafe {
        if (*event).timer_set() != 0 {
            ngx_del_timer(event);
        }
        (*event).set_cancelable(1);
        ngx_add_timer(event, millis);
    }
}

unsafe fn owner_of<'a>(event: *mut ngx_event_t) -> Option<&'a Owner> {
    // SAFETY: `data` of a connection's event is the connection, whose `data` is the owner, in a
    // box that lives as long as the worker.
    unsafe {
        let connection = (*event).data.cast::<ngx_connection_t>();
        connection.as_ref().and_then(|connection| connection.data.cast::<Owner>().as_ref())
    }
}

pub(super) unsafe extern "C" fn on_read(event: *mut ngx_event_t) {
    // SAFETY: nginx passes an event of an open connection of ours.
    if let Some(owner) = unsafe { owner_of(event) } {
        (owner.on_event)(Event::Read);
    }
}

pub(super) unsafe extern "C" fn on_write(event: *mut ngx_event_t) {
    // SAFETY: as in `on_read`.
    if let Some(owner) = unsafe { owner_of(event) } {
        (owner.on_event)(Event::Write);
    }
}
