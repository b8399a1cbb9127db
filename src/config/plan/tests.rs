use super::*;
use crate::config::upstream::ServerSetting;
use crate::redis::endpoint::{Endpoint, Secret};
use crate::redis::upstream::Duty;

fn plan(url: &str, settings: &Settings) -> Result<Plan, String> {
    Plan::new(settings, Door::Pass, &Target::Url(Endpoint::parse(url).unwrap()), &[])
}

#[test]
fn credentials_come_from_one_place() {
    let user = Settings { username: Some("u".into()), ..Settings::default() };
    let both = Settings { password: Some(Secret("p".into())), ..user.clone() };
    let upstream = plan("redis://h", &both).unwrap().connections.upstream;
    assert_eq!(upstream.login.username.as_deref(), Some("u"));
    assert!(plan("redis://h", &user).unwrap_err().contains("without a password"));
    assert!(plan("redis://:x@h", &both).unwrap_err().contains("given twice"));
    assert!(plan("redis://a:x@h", &user).unwrap_err().contains("redis_cache_username"));
}

#[test]
fn defaults_follow_the_format() {
    let http = plan("redis://h", &Settings::default()).unwrap();
    assert_eq!(http.key_source, KeySource::CacheUri);
    assert_eq!(http.key_shape, KeyShape { hash: Hash::None, prefix: b"page:".to_vec() });
    let raw = Settings { format: Some(Format::Raw), ..Settings::default() };
    let raw = plan("redis://h", &raw).unwrap();
    assert_eq!(raw.key_shape, KeyShape { hash: Hash::Md5, prefix: b":1:".to_vec() });
}

#[test]
fn the_raw_form_is_not_stored() {
    let raw = Settings { format: Some(Format::Raw), store: Some(true), ..Settings::default() };
    assert!(plan("redis://h", &raw).unwrap_err().contains("redis_cache_format http"));
    let raw =
        Settings { format: Some(Format::Raw), authorization: Some(true), ..Settings::default() };
    assert!(plan("redis://h", &raw).unwrap_err().contains("redis_cache_authorization"));
    let http = Settings { store: Some(true), ..Settings::default() };
    assert_eq!(plan("redis://h", &http).unwrap().store.unwrap().keep.as_secs(), 3600);
    assert_eq!(plan("redis://h", &Settings::default()).unwrap().store, None);
}

#[test]
fn blocking_speaks_no_tls() {
    let blocking = Settings { io: Some(Io::Blocking), ..Settings::default() };
    assert!(plan("rediss://h", &blocking).unwrap_err().contains("use redis_cache_io event"));
    assert!(plan("redis://h", &blocking).is_ok());
    let tls = plan("rediss://h", &Settings::default()).unwrap().connections.tls;
    assert!(tls.is_some_and(|tls| tls.verify));
}

#[test]
fn a_value_must_fit_into_the_buffers() {
    let small = Settings { buffers: Some(1 << 20), ..Settings::default() };
    assert!(plan("redis://h", &small).unwrap_err().contains("redis_cache_buffers"));
}

#[test]
fn a_block_outweighs_the_location_that_names_it() {
    let server = ServerSetting {
        endpoint: Endpoint::parse("redis://h").unwrap(),
        duty: Duty::Primary,
        weight: None,
    };
    let seconds = |n| Some(Duration::from_secs(n));
    let block = Settings { queue: Some(5), timeout: seconds(5), ..Settings::default() };
    let block = UpstreamSettings {
        settings: block,
        servers: vec![server.clone()],
        ..UpstreamSettings::new("pages")
    };
    let two = UpstreamSettings {
        name: "two".into(),
        servers: vec![server.clone(), server],
        ..block.clone()
    };
    let location = Settings { queue: Some(9), buffers: Some(64 << 20), ..Settings::default() };
    let plan = |settings: &Settings, name: &str| {
        let target = Target::Upstream(name.into());
        Plan::new(settings, Door::Pass, &target, &[block.clone(), two.clone()])
    };
    let found = plan(&location, "pages").unwrap();
    assert_eq!((found.connections.queue, found.timeout), (5, Duration::from_secs(5)));
    let hasty = Settings { timeout: seconds(1), io: Some(Io::Blocking), ..location };
    assert_eq!(plan(&hasty, "pages").unwrap().timeout, Duration::from_secs(1));
    assert!(plan(&hasty, "other").unwrap_err().contains("names \"other\""));
    assert!(plan(&hasty, "two").unwrap_err().contains("twice"));
}
