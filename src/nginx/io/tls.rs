//! TLS on a connection to Redis, with nginx's own OpenSSL: the context that is made of the
//! configuration, and the handshake.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int, c_void};
use std::net::IpAddr;
use std::ptr::{self, NonNull};

use ngx::ffi::{
    ERR_clear_error, NGX_AGAIN, NGX_SSL_CLIENT, NGX_SSL_TLSv1_2, NGX_SSL_TLSv1_3, SSL,
    SSL_CTX_set_default_verify_paths, SSL_RECEIVED_SHUTDOWN, SSL_SESSION, SSL_SESSION_free,
    SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_get_shutdown, SSL_get_verify_result, SSL_get0_param,
    SSL_get0_verified_chain, SSL_session_reused, SSL_set_verify,
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, X509_STORE_CTX, X509_V_ERR_CERT_HAS_EXPIRED,
    X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH,
    X509_V_OK, X509_VERIFY_PARAM_set_hostflags, X509_VERIFY_PARAM_set1_host,
    X509_VERIFY_PARAM_set1_ip_asc, X509_verify_cert_error_string, ngx_array_create, ngx_array_push,
    ngx_conf_t, ngx_connection_t, ngx_create_pool, ngx_destroy_pool, ngx_int_t, ngx_pcalloc,
    ngx_pool_cleanup_add, ngx_pool_t, ngx_post_event, ngx_posted_events, ngx_ssl_certificate,
    ngx_ssl_ciphers, ngx_ssl_cleanup_ctx, ngx_ssl_client_session_cache, ngx_ssl_create,
    ngx_ssl_create_connection, ngx_ssl_get_session, ngx_ssl_handshake, ngx_ssl_set_session,
    ngx_ssl_shutdown, ngx_ssl_t, ngx_ssl_trusted_certificate, ngx_str_t, ngx_uint_t,
};

use super::said::Said;
use super::socket::{Owner, on_read, on_write};
use crate::config::{Protocols, TlsSettings};
use crate::engine::TlsProgress;
use crate::fault::Fault;
use crate::nginx::sys::{glue, rc, str_over};
use crate::reason::Reason;
use crate::redis::endpoint::Address;

/// Room for nginx's record of a connection with TLS.
const POOL: usize = 512;

/// As many certificates between the server's and its authority as OpenSSL itself allows.
const DEPTH: ngx_int_t = 100;

const OUT_OF_MEMORY: &str = "nginx is out of memory";

/// What the connections to one endpoint have in common. It lives as long as the configuration.
pub(in crate::nginx) struct TlsContext {
    ssl: NonNull<ngx_ssl_t>,
    settings: TlsSettings,
}

/// The handshake of one connection and what it leaves behind.
pub(in crate::nginx) struct Tls {
    pool: NonNull<ngx_pool_t>,
    verify: bool,
}

/// The session of the last connection, which makes the next handshake short. It is for one name.
#[derive(Default)]
pub(in crate::nginx) struct TlsSession {
    name: RefCell<String>,
    session: RefCell<Option<Session>>,
}

struct Session(NonNull<SSL_SESSION>);

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { SSL_SESSION_free(self.0.as_ptr()) }
    }
}

impl TlsContext {
    /// The name that the certificate of a server must be for.
    pub fn name_of<'a>(&'a self, server: &'a Address) -> &'a str {
        self.settings.name_for(server)
    }

    /// The context for `settings`; an error is a sentence for `nginx -t`.
    ///
    /// # Safety
    /// `cf` is nginx's context during parsing.
    pub unsafe fn new(cf: *mut ngx_conf_t, settings: &TlsSettings) -> Result<Self, String> {
        let Protocols { v1_2, v1_3 } = settings.protocols;
        let allowed = |yes, version| if yes { version as ngx_uint_t } else { 0 };
        let protocols = allowed(v1_2, NGX_SSL_TLSv1_2) | allowed(v1_3, NGX_SSL_TLSv1_3);
        // SAFETY: the caller guarantees that `cf` is valid.
        unsafe {
            let context = Self { ssl: new_record(cf, protocols)?, settings: settings.clone() };
            context.trust(cf, settings)?;
            context.identify(cf, settings)?;
            let (pool, record) = ((*cf).pool, context.ssl.as_ptr());
            let mut ciphers = string_in(pool, &settings.ciphers)?;
            if ngx_ssl_ciphers(cf, record, &raw mut ciphers, 0) != rc::OK {
                return Err(see_above("redis_cache_ssl_ciphers", &settings.ciphers));
            }
            if ngx_ssl_client_session_cache(cf, record, 1) != rc::OK {
                return Err(OUT_OF_MEMORY.to_owned());
            }
            Ok(context)
        }
    }

    unsafe fn trust(&self, cf: *mut ngx_conf_t, settings: &TlsSettings) -> Result<(), String> {
        // SAFETY: as in `new`.
        unsafe {
            let Some(path) = &settings.trusted_certificate else {
                // Paths that are not there are no error; what else is, shows in the handshake.
                SSL_CTX_set_default_verify_paths((*self.ssl.as_ptr()).ctx);
                ERR_clear_error();
                return Ok(());
            };
            let mut file = string_in((*cf).pool, path)?;
            match ngx_ssl_trusted_certificate(cf, self.ssl.as_ptr(), &raw mut file, DEPTH) {
                rc::OK => Ok(()),
                _ => Err(see_above("redis_cache_ssl_trusted_certificate", path)),
            }
        }
    }

    unsafe fn identify(&self, cf: *mut ngx_conf_t, settings: &TlsSettings) -> Result<(), String> {
        let Some(client) = &settings.client else { return Ok(()) };
        // SAFETY: as in `new`; nginx's array of strings lives in the pool.
        unsafe {
            let pool = (*cf).pool;
            let mut certificate = string_in(pool, &client.certificate)?;
            let mut key = string_in(pool, &client.key)?;
            // With a passphrase to try, an empty one, OpenSSL does not ask the terminal.
            let passwords = ngx_array_create(pool, 1, size_of::<ngx_str_t>());
            if passwords.is_null() {
                return Err(OUT_OF_MEMORY.to_owned());
            }
            let password = ngx_array_push(passwords).cast::<ngx_str_t>();
            *password.as_mut().ok_or(OUT_OF_MEMORY)? = str_over(b"");
            let (certificate, key) = (&raw mut certificate, &raw mut key);
            match ngx_ssl_certificate(cf, self.ssl.as_ptr(), certificate, key, passwords) {
                rc::OK => Ok(()),
                _ => Err(see_above("redis_cache_ssl_certificate", &client.certificate)),
            }
        }
    }
}

/// nginx's record of a context, which lives as long as the configuration.
unsafe fn new_record(
    cf: *mut ngx_conf_t,
    protocols: ngx_uint_t,
) -> Result<NonNull<ngx_ssl_t>, String> {
    // SAFETY: `cf` is valid. The record lives in its pool, and its cleanup is the last to use it.
    unsafe {
        let pool = (*cf).pool;
        let record = ngx_pcalloc(pool, size_of::<ngx_ssl_t>()).cast::<ngx_ssl_t>();
        let ssl = NonNull::new(record).ok_or(OUT_OF_MEMORY)?;
        (*record).log = (*cf).log;
        if ngx_ssl_create(record, protocols, ptr::null_mut()) != rc::OK {
            return Err("nginx could not make a context of TLS".to_owned());
        }
        let cleanup = ngx_pool_cleanup_add(pool, 0).as_mut().ok_or(OUT_OF_MEMORY)?;
        cleanup.handler = Some(ngx_ssl_cleanup_ctx);
        cleanup.data = record.cast::<c_void>();
        glue::ssl_set_mode((*record).ctx);
        Ok(ssl)
    }
}

/// A string in nginx's pool, with a NUL behind it as OpenSSL wants it.
unsafe fn string_in(pool: *mut ngx_pool_t, text: &str) -> Result<ngx_str_t, String> {
    // SAFETY: the pool is that of the configuration.
    let copy = unsafe { ngx_str_t::from_bytes(pool, &[text.as_bytes(), b"\0"].concat()) };
    copy.map(|copy| ngx_str_t { len: text.len(), ..copy }).ok_or_else(|| OUT_OF_MEMORY.to_owned())
}

/// nginx has logged what OpenSSL says.
fn see_above(directive: &str, value: &str) -> String {
    format!("{directive} {value} cannot be used, as the line above says")
}

impl Tls {
    /// Begins the handshake on a connection that is made, with a server that must be `name`; and
    /// whether nginx calls when it is over.
    ///
    /// # Safety
    /// The connection is open, its `data` is an [`Owner`], and [`Self::close`] is called before it
    /// is closed.
    pub unsafe fn start(
        connection: *mut ngx_connection_t,
        context: &TlsContext,
        name: &str,
    ) -> Result<(Self, bool), Reason> {
        // SAFETY: the caller guarantees that the connection is open; its log outlives the pool.
        unsafe {
            let pool = NonNull::new(ngx_create_pool(POOL, (*connection).log));
            let pool = pool.ok_or(Reason::Internal)?;
            (*connection).pool = pool.as_ptr();
            let tls = Self { pool, verify: context.settings.verify };
            let flags = NGX_SSL_CLIENT as ngx_uint_t;
            let created = ngx_ssl_create_connection(context.ssl.as_ptr(), connection, flags);
            let prepared = created == rc::OK && tls.prepare(connection, name).is_some();
            if !prepared {
                ERR_clear_error();
                tls.close(connection);
                return Err(Reason::Internal);
            }
            (*(*connection).ssl).handler = Some(on_handshake);
            let goes_on = ngx_ssl_handshake(connection) == NGX_AGAIN as ngx_int_t;
            Ok((tls, goes_on))
        }
    }

    unsafe fn prepare(&self, connection: *mut ngx_connection_t, name: &str) -> Option<()> {
        let address = name.parse::<IpAddr>().ok();
        let text =
            CString::new(address.map_or_else(|| name.to_owned(), |ip| ip.to_string())).ok()?;
        // SAFETY: nginx has just made the record of TLS; OpenSSL copies the name.
        unsafe {
            let record = (*connection).ssl.as_mut()?;
            let ssl: *mut SSL = record.connection;
            if address.is_none() {
                glue::ssl_set_host_name(ssl, text.as_ptr()).then_some(())?;
            }
            if self.verify {
                expect(ssl, &text, address.is_some())?;
            }
            let mode = if self.verify { SSL_VERIFY_PEER } else { SSL_VERIFY_NONE };
            SSL_set_verify(ssl, mode as c_int, Some(on_verified));
            record.save_session = Some(save_session);
            let session = owner_of(connection)?.session.for_name(name);
            (ngx_ssl_set_session(connection, session) == rc::OK).then_some(())
        }
    }

    /// What the handshake, which is over, came to.
    ///
    /// # Safety
    /// The connection is open, and this is its handshake.
    pub unsafe fn outcome(&self, connection: *mut ngx_connection_t, said: &Said) -> TlsProgress {
        // SAFETY: the caller guarantees it; the record lives as long as the connection.
        unsafe {
            let record = (*connection).ssl;
            let ssl = (*record).connection;
            if (*record).handshaked() == 0 || (self.verify && !is_verified(ssl)) {
                if let Some(owner) = owner_of(connection) {
                    owner.session.forget();
                }
                let untrusted = self.verify.then(|| distrust(ssl)).flatten();
                return TlsProgress::Failed(untrusted.unwrap_or_else(|| said.fault(Reason::Tls)));
            }
            // What came with the end of the handshake waits in OpenSSL, of which the system
            // gives no notice.
            ngx_post_event((*connection).read, &raw mut ngx_posted_events);
        }
        TlsProgress::Done
    }

    /// Whether the server ended a connection that had been made with an alert, as it does in
    /// TLS 1.3 where it wants a certificate of us.
    ///
    /// # Safety
    /// As for [`Self::outcome`].
    pub unsafe fn was_refused(&self, connection: *mut ngx_connection_t) -> bool {
        // SAFETY: the caller guarantees it.
        unsafe {
            let record = (*connection).ssl;
            if record.is_null() {
                return false;
            }
            // Where a write found the connection closed, the alert has not been read yet.
            let mut byte = 0;
            if let (false, Some(receive)) = ((*record).last == rc::ERROR, (*connection).recv) {
                receive(connection, &raw mut byte, 1);
            }
            (*record).last == rc::ERROR
                && SSL_get_shutdown((*record).connection) & SSL_RECEIVED_SHUTDOWN as c_int != 0
        }
    }

    /// Says goodbye, without waiting for the answer, and frees what TLS holds.
    ///
    /// # Safety
    /// The connection is open, and is closed next.
    pub unsafe fn close(self, connection: *mut ngx_connection_t) {
        // SAFETY: the caller guarantees it. nginx frees its record of TLS, unless the goodbye
        // finds no room; then it is left out.
        unsafe {
            let record = (*connection).ssl;
            if !record.is_null() {
                (*record).set_no_wait_shutdown(1);
                if ngx_ssl_shutdown(connection) == NGX_AGAIN as ngx_int_t {
                    (*record).set_no_send_shutdown(1);
                    ngx_ssl_shutdown(connection);
                }
            }
            ngx_destroy_pool(self.pool.as_ptr());
            (*connection).pool = ptr::null_mut();
        }
    }
}

/// Sees to it that the certificate of the server is for a name or an address.
unsafe fn expect(ssl: *mut SSL, text: &CStr, is_address: bool) -> Option<()> {
    // SAFETY: OpenSSL's record of an open connection; OpenSSL copies the text.
    let set = unsafe {
        let param = SSL_get0_param(ssl);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        match is_address {
            true => X509_VERIFY_PARAM_set1_ip_asc(param, text.as_ptr()),
            false => X509_VERIFY_PARAM_set1_host(param, text.as_ptr(), text.count_bytes()),
        }
    };
    (set == 1).then_some(())
}

/// Whether the server showed a certificate that is right, now or when the session began.
unsafe fn is_verified(ssl: *const SSL) -> bool {
    // SAFETY: OpenSSL's record of an open connection.
    unsafe {
        SSL_get_verify_result(ssl) == X509_V_OK.into()
            && (SSL_session_reused(ssl) == 1 || !SSL_get0_verified_chain(ssl).is_null())
    }
}

/// What is wrong with the certificate of the server, if that is why a handshake failed.
unsafe fn distrust(ssl: *const SSL) -> Option<Fault> {
    // SAFETY: as in `is_verified`; OpenSSL's text is a constant.
    let (result, text) = unsafe {
        let result = SSL_get_verify_result(ssl);
        (result, CStr::from_ptr(X509_verify_cert_error_string(result)))
    };
    let reason = match u32::try_from(result).unwrap_or(u32::MAX) {
        X509_V_OK => return None,
        X509_V_ERR_CERT_HAS_EXPIRED | X509_V_ERR_CERT_NOT_YET_VALID => Reason::TlsExpired,
        X509_V_ERR_HOSTNAME_MISMATCH | X509_V_ERR_IP_ADDRESS_MISMATCH => Reason::TlsName,
        _ => Reason::TlsUntrusted,
    };
    Some(Fault::new(reason, &format!("{result}: {}", text.to_string_lossy())))
}

impl TlsSession {
    /// The session to begin with, or null.
    fn for_name(&self, name: &str) -> *mut SSL_SESSION {
        if *self.name.borrow() != name {
            self.forget();
            name.clone_into(&mut self.name.borrow_mut());
        }
        self.session.borrow().as_ref().map_or(ptr::null_mut(), |session| session.0.as_ptr())
    }

    fn forget(&self) {
        self.session.replace(None);
    }
}

unsafe fn owner_of<'a>(connection: *mut ngx_connection_t) -> Option<&'a Owner> {
    // SAFETY: `data` of a connection of ours is its owner, in a box that outlives it.
    unsafe { (*connection).data.cast::<Owner>().as_ref() }
}

/// OpenSSL's verdict stands: a certificate that is not right ends the handshake. nginx's own
/// callback would go on.
unsafe extern "C" fn on_verified(ok: c_int, _: *mut X509_STORE_CTX) -> c_int {
    ok
}

/// The server has given a session.
unsafe extern "C" fn save_session(connection: *mut ngx_connection_t) {
    // SAFETY: nginx passes an open connection of ours while it has a session; the reference is
    // ours then.
    unsafe {
        let session = NonNull::new(ngx_ssl_get_session(connection));
        if let (Some(owner), Some(session)) = (owner_of(connection), session) {
            owner.session.session.replace(Some(Session(session)));
        }
    }
}

/// The handshake is over, well or not, or its time is. nginx had taken the events for it.
unsafe extern "C" fn on_handshake(connection: *mut ngx_connection_t) {
    // SAFETY: nginx passes an open connection of ours.
    unsafe {
        (*(*connection).read).handler = Some(on_read);
        (*(*connection).write).handler = Some(on_write);
        on_write((*connection).write);
    }
}
