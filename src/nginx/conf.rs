//! What a configuration holds, of the http block and of each location: records that all rooms read.

use std::any::Any;
use std::cell::{Cell, RefCell};

use ngx::ffi::{ngx_http_complex_value_t, ngx_http_core_srv_conf_t};
use ngx::http::{HttpModuleConfExt, HttpModuleLocationConf, HttpModuleMainConf};

use super::Module;
use super::io::resolver::Resolver;
use super::io::threads::Threads;
use super::io::tls::TlsContext;
use super::io::zone::Zone;
use crate::config::{Connections, Plan, Settings, UpstreamSettings};
use crate::engine::schedule::Resolved;
use crate::redis::endpoint::{Address, ServerAddr};
use crate::redis::pending::Pending;
use crate::uses::Uses;

/// Configuration of the http block: what locations share, and the state of the worker process.
#[derive(Default)]
pub(in crate::nginx) struct MainConf {
    /// Compiled strings with variables; a [`Template`](crate::config::Template) is an index.
    pub templates: Vec<ngx_http_complex_value_t>,
    /// Every `redis_cache_upstream`.
    pub upstreams: Vec<UpstreamSettings>,
    /// Endpoints; [`ActivePlan::endpoint`] is an index.
    pub endpoints: Vec<EndpointConf>,
    pub sites: Vec<Site>,
    /// What the workers share.
    pub zone: Option<Zone>,
    /// Whether any location has `redis_cache`.
    pub looks_up_in_place: bool,
    /// Whether any location codes pages.
    pub codes: bool,
    /// nginx's threads, where pages are coded.
    pub threads: Option<Threads>,
    /// The place of nginx's gunzip filter among the modules' configurations.
    pub gunzip_index: Option<usize>,
    /// Answers of the resolver that are not taken up yet.
    pub resolved: RefCell<Vec<Resolved>>,
    /// How many refreshes of this worker run.
    pub refreshing: Cell<usize>,
    /// What the worker process holds, which [`super::worker`] alone knows; empty in the master.
    pub process: RefCell<Option<Box<dyn Any>>>,
}

/// One endpoint, the addresses that it names resolved.
pub(in crate::nginx) struct EndpointConf {
    pub connections: Connections,
    pub addresses: Vec<(Address, Vec<ServerAddr>)>,
    /// Who resolves its names while nginx runs.
    pub resolver: Option<Resolver>,
    /// Its name in the error log.
    pub name: String,
    /// Present where it is spoken to over TLS.
    pub tls: Option<TlsContext>,
}

impl EndpointConf {
    /// Where a server is, as far as it is known without asking anybody.
    pub fn addresses_of(&self, server: &Address) -> Vec<ServerAddr> {
        match self.addresses.iter().find(|(known, _)| known == server) {
            Some((_, addresses)) => addresses.clone(),
            None => server.literal().into_iter().collect(),
        }
    }
}

/// Configuration of a location.
#[derive(Default)]
pub(in crate::nginx) struct LocationConf {
    pub settings: Settings,
    /// File and line of `redis_cache_pass`.
    pub written_at: String,
    /// File and line where the location or the server begins.
    pub begins_at: String,
    /// Present where `redis_cache_pass` or `redis_cache` looks up.
    pub plan: Option<ActivePlan>,
}

/// A plan and its place in the endpoints.
pub(in crate::nginx) struct ActivePlan {
    pub plan: Plan,
    pub endpoint: usize,
}

/// One `redis_cache_pass`, for the checks across locations.
pub(in crate::nginx) struct Site {
    pub server: *mut ngx_http_core_srv_conf_t,
    pub location: String,
    pub fallback: Option<String>,
    pub written_at: String,
}

impl MainConf {
    /// The late invalidations of an endpoint, in a worker.
    pub fn pending(&self, endpoint: usize) -> Pending {
        // SAFETY: a worker runs when nginx has made the zone.
        let pending = self.zone.map(|zone| unsafe { zone.pending(endpoint) });
        pending.unwrap_or(Pending::new(&[], endpoint))
    }

    /// How often pages were asked for, in a worker.
    pub fn uses(&self) -> Option<Uses> {
        // SAFETY: a worker runs when nginx has made the zone.
        self.zone.and_then(|zone| unsafe { zone.uses() })
    }

    /// The configuration of the http block that a request, cycle or configuration belongs to.
    pub fn of(source: &impl HttpModuleConfExt) -> Option<&'static Self> {
        Module::main_conf(source)
    }
}

impl LocationConf {
    /// The configuration of the location that a request is in.
    pub fn of(source: &impl HttpModuleConfExt) -> Option<&'static Self> {
        Module::location_conf(source)
    }
}
