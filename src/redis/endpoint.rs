//! `redis[s]://[user[:password]@]host[:port][/db]` and `unix:/path[?db=N]` to an endpoint.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo};

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a Redis server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host (a name, or an IP address without brackets) and port.
    Tcp(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// As whom we speak to a server, and to which of its databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// The number of the database.
    pub db: i64,
    /// The ACL user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

/// One database of one Redis server, and as whom we speak to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// As whom we speak to it.
    pub login: Login,
}

/// Why a URL names no endpoint. The text never repeats the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL, or of an unknown scheme.
    #[error("is not redis://[user[:password]@]host[:port][/db], rediss:// or unix:/path[?db=N]")]
    Form,
    /// A variable in the URL.
    #[error("may not contain variables")]
    Variable,
    /// A negative or missing number of a database.
    #[error("names a database that is no number from 0 to 999999")]
    Database,
}

impl Endpoint {
    /// Reads a URL: `redis://`, `rediss://` for TLS, `unix:/path`, `unix:///path` or
    /// `redis+unix:///path`; `valkey` may stand for `redis`.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if url.contains('$') {
            return Err(UrlError::Variable);
        }
        let (scheme, rest) = url.split_once(':').ok_or(UrlError::Form)?;
        let (scheme, tls) = match scheme {
            "redis" | "valkey" => ("redis", false),
            "rediss" | "valkeys" => ("redis", true),
            "unix" | "redis+unix" | "valkey+unix" => ("unix", false),
            _ => return Err(UrlError::Form),
        };
        let url = redis::parse_redis_url(&format!("{scheme}:{rest}")).ok_or(UrlError::Form)?;
        if url.fragment().is_some() || (scheme == "redis" && url.query().is_some()) {
            return Err(UrlError::Form);
        }
        if url.query_pairs().any(|(name, value)| name != "db" || value.parse::<i64>().is_err()) {
            return Err(UrlError::Form);
        }
        let info = url.into_connection_info().map_err(|_| UrlError::Form)?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::tcp(host, *port),
            ConnectionAddr::Unix(path) if path.is_absolute() => Address::Unix(path.clone()),
            _ => return Err(UrlError::Form),
        };
        let settings = info.redis_settings();
        let db = settings.db();
        if !(0..=999_999).contains(&db) {
            return Err(UrlError::Database);
        }
        let login = Login {
            db,
            username: settings.username().map(ToOwned::to_owned),
            password: settings.password().map(|password| Secret(password.to_owned())),
        };
        Ok(Self { address, tls, login })
    }
}

impl Address {
    /// An address of a host, in brackets or not, and a port.
    pub fn tcp(host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Self::Tcp(bare.to_ascii_lowercase(), port)
    }

    /// Reads `HOST:PORT`, with an IPv6 address in brackets or, as Redis writes it, without; the
    /// port may be left out where there is a `default` for it.
    pub fn parse(text: &str, default: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, default?),
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte);
        let valid = port != 0 && !host.is_empty() && host.len() <= 255 && host.bytes().all(known);
        valid.then(|| Self::tcp(host, port))
    }

    /// The name that has to be resolved to reach it, if it is a name.
    pub fn name(&self) -> Option<(&str, u16)> {
        match self {
            Self::Tcp(host, port) if host.parse::<IpAddr>().is_err() => Some((host, *port)),
            _ => None,
        }
    }

    /// Where it is, if that needs no resolving.
    pub fn literal(&self) -> Option<ServerAddr> {
        match self {
            Self::Unix(path) => Some(ServerAddr::Unix(path.clone())),
            Self::Tcp(host, port) => {
                Some(ServerAddr::Tcp(SocketAddr::new(host.parse().ok()?, *port)))
            }
        }
    }

    /// The socket addresses of the server; names are resolved as the system resolves them, which
    /// may block.
    pub fn resolve(&self) -> std::io::Result<Vec<ServerAddr>> {
        match self {
            Self::Unix(path) => Ok(vec![ServerAddr::Unix(path.clone())]),
            Self::Tcp(host, port) => {
                Ok((host.as_str(), *port).to_socket_addrs()?.map(ServerAddr::Tcp).collect())
            }
        }
    }
}

/// An address that needs no resolving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddr {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `$redis_cache_server` and the name in the error log: without user and password.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.login.db)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let endpoint = Endpoint::parse("redis://u%40x:p%3Aw@Example.com:7000/3").unwrap();
        assert_eq!(endpoint.address, Address::Tcp("example.com".into(), 7000));
        assert_eq!(endpoint.login.db, 3);
        assert_eq!(endpoint.login.username.as_deref(), Some("u@x"));
        assert_eq!(endpoint.login.password, Some(Secret("p:w".into())));
        assert_eq!(endpoint.to_string(), "example.com:7000/3");
        assert!(!format!("{endpoint:?}").contains("p:w"));

        let endpoint = Endpoint::parse("redis://127.0.0.1").unwrap();
        assert_eq!(endpoint.to_string(), "127.0.0.1:6379/0");
        let endpoint = Endpoint::parse("redis://[::1]:1/2").unwrap();
        assert_eq!(endpoint.to_string(), "[::1]:1/2");
        assert!(endpoint.address.resolve().is_ok_and(|found| found.len() == 1));
        for url in
            ["unix:/run/r.sock?db=2", "unix:///run/r.sock?db=2", "redis+unix:///run/r.sock?db=2"]
        {
            assert_eq!(Endpoint::parse(url).unwrap().to_string(), "unix:/run/r.sock/2", "{url}");
        }
        let endpoint = Endpoint::parse("redis://:secret@h").unwrap();
        let login = endpoint.login;
        assert_eq!((login.username, login.password), (None, Some(Secret("secret".into()))));
    }

    #[test]
    fn hosts_and_ports() {
        let address = |text| Address::parse(text, Some(26379)).map(|found| found.to_string());
        for (text, wanted) in [
            ("Sentinel-1.example", "sentinel-1.example:26379"),
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:26379"),
            ("fd00::1:7000", "[fd00::1]:7000"),
        ] {
            assert_eq!(address(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", ":7000", "h:0", "h:70000", "h:x", "a b:1", "h\r\n:1", "redis://h:1"] {
            assert_eq!(address(text), None, "{text}");
        }
        assert_eq!(Address::parse("h", None), None);
        assert_eq!(Address::tcp("h", 1).name(), Some(("h", 1)));
        assert_eq!(Address::tcp("::1", 1).name(), None);
    }

    #[test]
    fn tls_and_valkey() {
        let parse = |url| Endpoint::parse(url).unwrap();
        let plain = parse("redis://u:p@h:7000/3");
        assert_eq!(parse("valkey://u:p@h:7000/3"), plain);
        let tls = parse("rediss://u:p@h:7000/3");
        assert_eq!(parse("valkeys://u:p@h:7000/3"), tls);
        assert!(tls.tls && !plain.tls);
        assert_eq!(parse("rediss://h").to_string(), "h:6379/0");
        assert_eq!(parse("valkey+unix:///p?db=1"), parse("unix:/p?db=1"));
    }

    #[test]
    fn what_is_no_endpoint() {
        for (url, error) in [
            ("", UrlError::Form),
            ("127.0.0.1:6379", UrlError::Form),
            ("http://h", UrlError::Form),
            ("redis://", UrlError::Form),
            ("redis:///1", UrlError::Form),
            ("redis://h:99999", UrlError::Form),
            ("redis://h/x", UrlError::Form),
            ("redis://h?db=1", UrlError::Form),
            ("redis://h/1#x", UrlError::Form),
            ("unix:relative", UrlError::Form),
            ("unix:/p?db=x", UrlError::Form),
            ("unix:/p?user=u", UrlError::Form),
            ("rediss://", UrlError::Form),
            ("rediss+unix:///p", UrlError::Form),
            ("Rediss://h", UrlError::Form),
            ("redis://$host", UrlError::Variable),
            ("redis://h/-1", UrlError::Database),
        ] {
            assert_eq!(Endpoint::parse(url).err(), Some(error), "{url}");
        }
    }
}
