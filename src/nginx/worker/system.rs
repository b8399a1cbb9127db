//! What the event engine stands on here: nginx's event loop, its resolver and its log.

use ngx::ffi::{NGX_LOG_NOTICE, NGX_LOG_WARN, ngx_cycle};
use ngx::log::DebugMask;
use socket2::SockAddr;

use super::parked::Parked;
use crate::config::Connections;
use crate::engine::schedule::Resolved;
use crate::engine::{Level, Place, System};
use crate::fault::Fault;
use crate::nginx::conf::{EndpointConf, MainConf};
use crate::nginx::io::events::Events;
use crate::nginx::io::socket::{Event, Owner, Peer};
use crate::nginx::sys;
use crate::nginx::sys::NAME;
use crate::redis::endpoint::{Address, ServerAddr};

/// One endpoint of one configuration.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Nginx {
    pub main: &'static MainConf,
    pub conf: &'static EndpointConf,
}

impl System for Nginx {
    type Socket = Peer;
    type Owner = Owner;
    type Events = Box<Events>;
    type Parked = Parked;

    fn connections(&self) -> &Connections {
        &self.conf.connections
    }

    fn name(&self) -> &str {
        &self.conf.name
    }

    fn owner(&self, place: Place, connection: usize) -> Owner {
        let main = self.main;
        let on_event = move |event| {
            super::in_turn(main, place, |client, turn| match event {
                Event::Read => client.on_read(connection, turn),
                Event::Write => client.on_write(connection, turn),
            });
        };
        Owner::new(Box::new(on_event), self.conf.tls.as_ref())
    }

    fn connect(&self, address: &SockAddr, owner: &mut Owner) -> Result<Peer, Fault> {
        Peer::connect(address, owner)
    }

    fn addresses_of(&self, server: &Address) -> Vec<SockAddr> {
        let address = |known: &ServerAddr| match known {
            ServerAddr::Tcp(address) => Some(SockAddr::from(*address)),
            ServerAddr::Unix(path) => SockAddr::unix(path).ok(),
        };
        self.conf.addresses_of(server).iter().filter_map(address).collect()
    }

    fn has_resolver(&self) -> bool {
        self.conf.resolver.is_some()
    }

    fn resolve(&self, place: Place, server: &Address) -> bool {
        let (Some(resolver), Some((name, port))) = (&self.conf.resolver, server.name()) else {
            return false;
        };
        let (main, address) = (self.main, server.clone());
        let done = move |outcome| {
            if let Ok(mut resolved) = main.resolved.try_borrow_mut() {
                resolved.push(Resolved { place, address, outcome });
            }
            // Who asks takes the answer up where it came at once.
            super::with(main, |worker| {
                worker.take_resolved(main);
                Some(())
            });
        };
        resolver.ask(name, port, Box::new(done))
    }

    fn shared_millis(&self) -> usize {
        sys::now_of_nginx()
    }

    fn random(&self) -> u32 {
        sys::random()
    }

    fn is_exiting(&self) -> bool {
        sys::worker_is_exiting()
    }

    fn say(&self, level: Level, sentence: &str) {
        say(level, sentence);
    }
}

/// A line in the error log of which no request is the cause.
pub(super) fn say(level: Level, sentence: &str) {
    // SAFETY: the cycle is set while a worker runs.
    let log = unsafe { (*ngx_cycle).log };
    let level = match level {
        Level::Debug => {
            ngx::ngx_log_debug!(mask: DebugMask::Http, log, "{NAME}: {sentence}");
            return;
        }
        Level::Notice => NGX_LOG_NOTICE,
        Level::Warn => NGX_LOG_WARN,
    };
    ngx::ngx_log_error!(level, log, "{NAME}: {sentence}");
}
