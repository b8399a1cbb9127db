//! How a server that is asked over TLS is known, and how we make ourselves known to it.

use super::settings::Settings;
use crate::redis::endpoint::Address;

/// `redis_cache_ssl_protocols`: the versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// TLS 1.2.
    pub v1_2: bool,
    /// TLS 1.3.
    pub v1_3: bool,
}

impl Default for Protocols {
    fn default() -> Self {
        Self { v1_2: true, v1_3: true }
    }
}

/// Our certificate, for a server that wants one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `redis_cache_ssl_certificate`, a path.
    pub certificate: String,
    /// `redis_cache_ssl_certificate_key`, a path.
    pub key: String,
}

/// Settings of TLS to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// `redis_cache_ssl_verify`: whether the certificate of the server is verified.
    pub verify: bool,
    /// `redis_cache_ssl_trusted_certificate`, a path; without it OpenSSL's own paths count.
    pub trusted_certificate: Option<String>,
    /// `redis_cache_ssl_name`; without it the host under which the server is known.
    pub name: Option<String>,
    /// Our certificate and its key.
    pub client: Option<ClientCertificate>,
    /// `redis_cache_ssl_protocols`.
    pub protocols: Protocols,
    /// `redis_cache_ssl_ciphers`.
    pub ciphers: String,
}

impl TlsSettings {
    /// Those of a location, where its upstream has TLS.
    pub fn of(settings: &Settings, tls: bool) -> Result<Option<Self>, String> {
        if !tls {
            return Ok(None);
        }
        let client = match (&settings.ssl_certificate, &settings.ssl_certificate_key) {
            (Some(certificate), Some(key)) => {
                Some(ClientCertificate { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) => None,
            (Some(certificate), None) => {
                return Err(format!(
                    "redis_cache_ssl_certificate {certificate} stands without \
                     redis_cache_ssl_certificate_key: name the file of its key"
                ));
            }
            (None, Some(key)) => {
                return Err(format!(
                    "redis_cache_ssl_certificate_key {key} stands without \
                     redis_cache_ssl_certificate: name the file of its certificate"
                ));
            }
        };
        Ok(Some(Self {
            verify: settings.ssl_verify.unwrap_or(true),
            trusted_certificate: settings.ssl_trusted_certificate.clone(),
            name: settings.ssl_name.clone(),
            client,
            protocols: settings.ssl_protocols.unwrap_or_default(),
            ciphers: settings.ssl_ciphers.clone().unwrap_or_else(|| "DEFAULT".to_owned()),
        }))
    }

    /// The name, or IP address, that the certificate of a server at `address` must be for.
    pub fn name_for<'a>(&'a self, address: &'a Address) -> &'a str {
        match (&self.name, address) {
            (Some(name), _) => name,
            (None, Address::Tcp(host, _)) => host,
            (None, Address::Unix(_)) => "",
        }
    }

    /// The directive of the first setting in which two uses of one endpoint differ.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let certificate = |tls: &Self| tls.client.as_ref().map(|client| client.certificate.clone());
        [
            (self.verify != other.verify, "redis_cache_ssl_verify"),
            (
                self.trusted_certificate != other.trusted_certificate,
                "redis_cache_ssl_trusted_certificate",
            ),
            (self.name != other.name, "redis_cache_ssl_name"),
            (certificate(self) != certificate(other), "redis_cache_ssl_certificate"),
            (self.client != other.client, "redis_cache_ssl_certificate_key"),
            (self.protocols != other.protocols, "redis_cache_ssl_protocols"),
            (self.ciphers != other.ciphers, "redis_cache_ssl_ciphers"),
        ]
        .into_iter()
        .find_map(|(differs, directive)| differs.then_some(directive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::endpoint::Endpoint;

    fn tls(url: &str, settings: &Settings) -> Result<Option<TlsSettings>, String> {
        TlsSettings::of(settings, Endpoint::parse(url).unwrap().tls)
    }

    #[test]
    fn settings_count_with_tls_alone() {
        let half = Settings { ssl_certificate: Some("c.pem".into()), ..Settings::default() };
        assert_eq!(tls("redis://h", &half), Ok(None));
        assert!(tls("rediss://h", &half).unwrap_err().contains("redis_cache_ssl_certificate_key"));
        let other = Settings { ssl_certificate_key: Some("k.pem".into()), ..Settings::default() };
        assert!(tls("rediss://h", &other).unwrap_err().contains("redis_cache_ssl_certificate:"));
    }

    #[test]
    fn defaults_verify_the_host_of_the_url() {
        let found = tls("rediss://h.example", &Settings::default()).unwrap().unwrap();
        assert!(found.verify && found.protocols.v1_2 && found.protocols.v1_3);
        assert_eq!(found.name_for(&Address::Tcp("h.example".into(), 1)), "h.example");
        let named = Settings { ssl_name: Some("other".into()), ..Settings::default() };
        let named = tls("rediss://h.example", &named).unwrap().unwrap();
        assert_eq!(named.name_for(&Address::Tcp("h.example".into(), 1)), "other");
    }

    #[test]
    fn a_difference_names_its_directive() {
        let usual = tls("rediss://h", &Settings::default()).unwrap().unwrap();
        assert_eq!(usual.difference(&usual), None);
        let client = |key: &str| {
            Some(ClientCertificate { certificate: "c".to_owned(), key: key.to_owned() })
        };
        let one = TlsSettings { client: client("k"), ..usual.clone() };
        let two = TlsSettings { client: client("l"), ..usual.clone() };
        assert_eq!(usual.difference(&one), Some("redis_cache_ssl_certificate"));
        assert_eq!(one.difference(&two), Some("redis_cache_ssl_certificate_key"));
        let off = TlsSettings { verify: false, ..usual.clone() };
        assert_eq!(usual.difference(&off), Some("redis_cache_ssl_verify"));
    }
}
