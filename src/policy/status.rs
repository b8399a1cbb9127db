//! What a status means to a cache: RFC 9110 section 15, RFC 9111 section 3.

/// Whether answers with this status are never stored: interim and partial ones, 304, and those that
/// speak of the credentials, the header, the rate or the connection of one request. Another request
/// for the same page would get another answer.
pub fn is_never_stored(status: u16) -> bool {
    !(200..600).contains(&status)
        || matches!(
            status,
            206 | 304 | 401 | 407 | 408 | 411..=413 | 415..=417 | 421 | 425 | 426 | 428 | 429 | 431
        )
}

/// Whether a request made for it may have provoked the status: such an answer is stored where it
/// states a lifetime or its status is named, and `any` does not name it.
pub(super) fn may_be_provoked(status: u16) -> bool {
    matches!(status, 400 | 405 | 414)
}

/// Whether the status alone lets a cache estimate a lifetime (RFC 9110 section 15.1).
pub(super) fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Whether the status is one whose rules of caching are known (RFC 9111 section 5.2.2.3): those of
/// RFC 9110 that may be stored.
pub(super) fn is_understood(status: u16) -> bool {
    let is_defined = matches!(
        status,
        200..=205 | 300..=305 | 307 | 308 | 400 | 402..=406 | 409 | 410 | 414 | 422 | 500..=505
    );
    is_defined && !is_never_stored(status)
}

/// Whether an answer with this status to an unsafe method makes the stored page of its URI unusable
/// (RFC 9111 section 4.4).
pub fn invalidates(status: u16) -> bool {
    (200..400).contains(&status)
}

/// Whether a response with this status has no body (RFC 9110 section 15.3.5).
pub fn has_no_body(status: u16) -> bool {
    status == 204
}
