//! What is asked: one server, several, those that sentinels name, or a cluster; and from which of
//! them pages are read.

use std::fmt;

use super::endpoint::{Address, Endpoint, Login};

/// What a listed server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It is written to, and read.
    Primary,
    /// It is read.
    Replica,
    /// It is asked while the primary of a key is out.
    Backup,
}

/// One `server` of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// What it is for.
    pub duty: Duty,
    /// Its share of the keys, or of the reads; at least 1.
    pub weight: u32,
}

/// The servers, or where they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// These.
    Listed(Vec<Server>),
    /// Those that the sentinels name.
    Sentinel {
        /// The name that the sentinels know the primary by.
        master: String,
        /// Where the sentinels listen.
        sentinels: Vec<Address>,
        /// Who we are for them.
        login: Login,
    },
    /// A cluster, which these belong to.
    Cluster(Vec<Address>),
}

/// Which servers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFrom {
    /// The primaries.
    #[default]
    Primary,
    /// Replicas that keep up; without one, the primary.
    Replica,
    /// Whichever of both answers soonest.
    Nearest,
}

/// Whom a location asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The name of `redis_cache_upstream`; none where a URL stands in its place.
    pub name: Option<String>,
    /// The servers.
    pub servers: Servers,
    /// Which of them are read.
    pub read: ReadFrom,
    /// Who we are, and the database.
    pub login: Login,
    /// Whether they are spoken to over TLS.
    pub tls: bool,
}

impl Upstream {
    /// The server of a URL.
    pub fn of(endpoint: &Endpoint) -> Self {
        Self {
            name: None,
            servers: Servers::Listed(vec![Server {
                address: endpoint.address.clone(),
                duty: Duty::Primary,
                weight: 1,
            }]),
            read: ReadFrom::Primary,
            login: endpoint.login.clone(),
            tls: endpoint.tls,
        }
    }

    /// Whether both ask the same servers for the same database as the same user: the connections
    /// of a worker to them are then the same too.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let whom = |of: &Self| (of.login.db, of.login.username.clone(), of.tls);
        self.name == other.name && self.servers == other.servers && whom(self) == whom(other)
    }

    /// The one server that there is, if there is no more than that.
    pub fn only_server(&self) -> Option<&Address> {
        match &self.servers {
            Servers::Listed(servers) => match servers.as_slice() {
                [server] => Some(&server.address),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many servers there are that are asked while another one is out.
    pub fn backups(&self) -> usize {
        match &self.servers {
            Servers::Listed(servers) => {
                servers.iter().filter(|server| server.duty == Duty::Backup).count()
            }
            _ => 0,
        }
    }

    /// The addresses that the configuration names.
    pub fn addresses(&self) -> Vec<&Address> {
        match &self.servers {
            Servers::Listed(servers) => servers.iter().map(|server| &server.address).collect(),
            Servers::Sentinel { sentinels, .. } => sentinels.iter().collect(),
            Servers::Cluster(seeds) => seeds.iter().collect(),
        }
    }
}

/// The name in the error log: without user and password.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.only_server()) {
            (Some(name), _) => f.write_str(name),
            (None, Some(address)) => write!(f, "{address}/{}", self.login.db),
            (None, None) => f.write_str("upstream"),
        }
    }
}
