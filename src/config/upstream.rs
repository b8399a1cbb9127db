//! `redis_cache_upstream`: what its directives say, and the upstream that comes of it.

use std::fmt;

use super::settings::Settings;
use crate::redis::endpoint::{Address, Endpoint, Login, Secret};
use crate::redis::upstream::{Duty, ReadFrom, Server, Servers, Upstream};

/// Whom `redis_cache_pass` or `redis_cache` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The server of a URL.
    Url(Endpoint),
    /// A `redis_cache_upstream`.
    Upstream(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(endpoint) => endpoint.fmt(f),
            Self::Upstream(name) => f.write_str(name),
        }
    }
}

/// One `server` of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSetting {
    /// Its URL.
    pub endpoint: Endpoint,
    /// `replica`, `backup`, or neither.
    pub duty: Duty,
    /// `weight=`.
    pub weight: Option<u32>,
}

/// What the directives of one `redis_cache_upstream` set; `None` is not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpstreamSettings {
    /// Its name.
    pub name: String,
    /// What a location may set too; the block outweighs it.
    pub settings: Settings,
    /// `server`.
    pub servers: Vec<ServerSetting>,
    /// `sentinel`: the name of the primary, and where the sentinels listen.
    pub sentinel: Option<(String, Vec<Address>)>,
    /// `cluster`.
    pub cluster: Option<()>,
    /// `read`.
    pub read: Option<ReadFrom>,
    /// `ssl`.
    pub ssl: Option<bool>,
    /// `db`.
    pub db: Option<i64>,
    /// `sentinel_username`.
    pub sentinel_username: Option<String>,
    /// The content of `sentinel_password_file`.
    pub sentinel_password: Option<Secret>,
}

impl UpstreamSettings {
    /// A block without directives.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The upstream of the block, without what a location may set; an error is a sentence for
    /// `nginx -t`.
    pub fn upstream(&self) -> Result<Upstream, String> {
        let read = self.read.unwrap_or_default();
        let (servers, login, tls) = match (&self.sentinel, self.servers.as_slice()) {
            (Some(_), [_, ..]) => {
                return Err("\"sentinel\" and \"server\" exclude each other: the sentinels name \
                    the servers"
                    .to_owned());
            }
            (Some((master, sentinels)), []) => (
                self.sentinels(master, sentinels)?,
                Login { db: self.db.unwrap_or(0), ..Login::default() },
                self.ssl.unwrap_or(false),
            ),
            (None, []) => {
                return Err("has neither \"server\" nor \"sentinel\"".to_owned());
            }
            (None, [first, ..]) => {
                let endpoint = &first.endpoint;
                (self.listed(read)?, endpoint.login.clone(), endpoint.tls)
            }
        };
        if !tls && self.settings.speaks_of_tls() {
            return Err("has \"ssl_...\", but its servers are not asked over TLS: write \
                rediss:// or, beside \"sentinel\", \"ssl on\""
                .to_owned());
        }
        Ok(Upstream { name: Some(self.name.clone()), servers, read, login, tls })
    }

    fn sentinels(&self, master: &str, sentinels: &[Address]) -> Result<Servers, String> {
        if self.cluster.is_some() {
            return Err("\"sentinel\" and \"cluster\" exclude each other".to_owned());
        }
        if let Some(twice) = sentinels
            .iter()
            .enumerate()
            .find_map(|(n, one)| sentinels.get(..n)?.iter().find(|o| *o == one))
        {
            return Err(format!("names the sentinel {twice} twice"));
        }
        let login = Login {
            db: 0,
            username: self.sentinel_username.clone(),
            password: self.sentinel_password.clone(),
        };
        if login.username.is_some() && login.password.is_none() {
            return Err("\"sentinel_username\" needs \"sentinel_password_file\"".to_owned());
        }
        let sentinels = sentinels.to_vec();
        Ok(Servers::Sentinel { master: master.to_owned(), sentinels, login })
    }

    fn listed(&self, read: ReadFrom) -> Result<Servers, String> {
        if self.sentinel_username.is_some() || self.sentinel_password.is_some() {
            return Err(
                "\"sentinel_username\" and \"sentinel_password_file\" need \"sentinel\"".to_owned()
            );
        }
        if self.db.is_some() {
            return Err("\"db\" stands beside \"server\", whose URL names the database".to_owned());
        }
        if self.ssl.is_some() {
            return Err(
                "\"ssl\" stands beside \"server\", whose URL is rediss:// for TLS".to_owned()
            );
        }
        self.check_that_servers_agree()?;
        if self.cluster.is_some() { self.cluster_of_seeds() } else { self.plain_servers(read) }
    }

    fn check_that_servers_agree(&self) -> Result<(), String> {
        let pairs = self.servers.iter().enumerate();
        let pairs =
            pairs.flat_map(|(n, one)| self.servers.iter().skip(n + 1).map(move |o| (one, o)));
        for (a, b) in pairs.map(|(one, other)| (&one.endpoint, &other.endpoint)) {
            let differs = if a.tls != b.tls {
                return Err(format!("asks {a} and {b} one with TLS and one without"));
            } else if a.login.db != b.login.db {
                "databases"
            } else if a.login != b.login {
                "users or passwords"
            } else if a.address == b.address {
                return Err(format!("names the server {a} twice"));
            } else {
                continue;
            };
            return Err(format!("has servers with different {differs}: {a} and {b}"));
        }
        Ok(())
    }

    fn cluster_of_seeds(&self) -> Result<Servers, String> {
        let mut seeds = Vec::new();
        for ServerSetting { endpoint, duty, weight } in &self.servers {
            if *duty != Duty::Primary || weight.is_some() {
                return Err("has \"replica\", \"backup\" or \"weight\" at a server beside \
                    \"cluster\": the cluster says what its servers are"
                    .to_owned());
            }
            if endpoint.login.db != 0 {
                return Err(format!(
                    "asks for the database {endpoint} beside \"cluster\": a cluster has database 0 alone"
                ));
            }
            if matches!(endpoint.address, Address::Unix(_)) {
                return Err(format!(
                    "has the unix socket {endpoint} beside \"cluster\": the servers of a cluster have hosts and ports"
                ));
            }
            seeds.push(endpoint.address.clone());
        }
        Ok(Servers::Cluster(seeds))
    }

    fn plain_servers(&self, read: ReadFrom) -> Result<Servers, String> {
        let count = |duty| self.servers.iter().filter(|server| server.duty == duty).count();
        let (primaries, replicas) = (count(Duty::Primary), count(Duty::Replica));
        if primaries == 0 {
            return Err("has no \"server\" that is neither \"replica\" nor \"backup\"".to_owned());
        }
        if replicas > 0 && primaries > 1 {
            return Err(
                "has a \"replica\" beside several primaries: whose replica it is cannot be said"
                    .to_owned(),
            );
        }
        if replicas == 0 && read != ReadFrom::Primary {
            return Err("reads from replicas, but no \"server\" is one".to_owned());
        }
        let server = |setting: &ServerSetting| Server {
            address: setting.endpoint.address.clone(),
            duty: setting.duty,
            weight: setting.weight.unwrap_or(1),
        };
        Ok(Servers::Listed(self.servers.iter().map(server).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, duty: Duty) -> ServerSetting {
        ServerSetting { endpoint: Endpoint::parse(url).unwrap(), duty, weight: None }
    }

    fn block(servers: &[(&str, Duty)]) -> UpstreamSettings {
        let servers = servers.iter().map(|(url, duty)| server(url, *duty)).collect();
        UpstreamSettings { servers, ..UpstreamSettings::new("pages") }
    }

    #[test]
    fn what_is_refused() {
        let sentinel = Some(("m".to_owned(), vec![Address::tcp("s", 26379)]));
        let doubled = Some(("m".to_owned(), vec![Address::tcp("s", 1), Address::tcp("s", 1)]));
        let cluster = Some(());
        let verified = Settings { ssl_verify: Some(true), ..Settings::default() };
        let primary = [("redis://a", Duty::Primary)];
        for (block, part) in [
            (block(&[]), "neither"),
            (UpstreamSettings { sentinel: sentinel.clone(), ..block(&primary) }, "exclude"),
            (UpstreamSettings { sentinel, cluster, ..block(&[]) }, "exclude"),
            (UpstreamSettings { sentinel: doubled, ..block(&[]) }, "twice"),
            (
                UpstreamSettings { read: Some(ReadFrom::Replica), ..block(&primary) },
                "no \"server\"",
            ),
            (block(&[("redis://a", Duty::Backup)]), "neither \"replica\" nor \"backup\""),
            (block(&[("redis://a/1", Duty::Primary), ("redis://b", Duty::Backup)]), "databases"),
            (block(&[("redis://:x@a", Duty::Primary), ("redis://b", Duty::Backup)]), "passwords"),
            (block(&[("redis://a", Duty::Primary), ("redis://a", Duty::Backup)]), "twice"),
            (
                block(&[
                    ("redis://a", Duty::Primary),
                    ("redis://b", Duty::Primary),
                    ("redis://b", Duty::Backup),
                ]),
                "twice",
            ),
            (
                UpstreamSettings { cluster, ..block(&[("redis://a/1", Duty::Primary)]) },
                "database 0",
            ),
            (UpstreamSettings { cluster, ..block(&[("unix:/s", Duty::Primary)]) }, "unix socket"),
            (UpstreamSettings { cluster, ..block(&[("redis://a", Duty::Backup)]) }, "backup"),
            (block(&[("rediss://a", Duty::Primary), ("redis://b", Duty::Backup)]), "TLS"),
            (UpstreamSettings { ssl: Some(true), ..block(&primary) }, "\"ssl\""),
            (UpstreamSettings { settings: verified, ..block(&primary) }, "ssl_"),
            (UpstreamSettings { db: Some(1), ..block(&primary) }, "\"db\""),
            (UpstreamSettings { sentinel_username: Some("u".into()), ..block(&primary) }, "need"),
            (
                block(&[
                    ("redis://a", Duty::Primary),
                    ("redis://b", Duty::Primary),
                    ("redis://c", Duty::Replica),
                ]),
                "several primaries",
            ),
        ] {
            let sentence = block.upstream().unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn what_comes_of_a_block() {
        let read = Some(ReadFrom::Nearest);
        let replicas = [("redis://a/2", Duty::Primary), ("redis://b/2", Duty::Replica)];
        let upstream = UpstreamSettings { read, ..block(&replicas) }.upstream().unwrap();
        assert_eq!((upstream.login.db, upstream.read), (2, ReadFrom::Nearest));
        assert_eq!(upstream.to_string(), "pages");
        let seeds = block(&[("redis://a", Duty::Primary), ("redis://b", Duty::Primary)]);
        let cluster = UpstreamSettings { cluster: Some(()), ..seeds }.upstream().unwrap();
        assert_eq!(cluster.addresses().len(), 2);
        assert!(matches!(cluster.servers, Servers::Cluster(_)));
    }
}
