//! What is not in the key does not reach the application on a fill: its query is what
//! `redis_cache_args` leaves, its cookies are those of `redis_cache_cookies`, and with
//! `redis_cache_compress` it takes no coding that others may not. When the answer is there, or another
//! location answers, the request is again what the client sent.

use ngx::ffi::ngx_str_t;

use crate::config::Plan;
use crate::http::coding;
use crate::http::cookie::Cookies;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::cookies::CookieLines;
use crate::nginx::sys::field_lines::{FieldLines, Name};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, bytes_of, variables};
use crate::reason::Reason;

/// What a fill has taken the place of.
pub(in crate::nginx) struct Sent {
    query: Option<SentQuery>,
    cookies: Option<CookieLines>,
    codings: Option<FieldLines>,
}

const ACCEPT_ENCODING: Name = Name { sent: "Accept-Encoding", lowercase: "accept-encoding" };

struct SentQuery {
    sent: Query,
    given: Query,
}

/// Where nginx and its modules look for the target and the arguments of a request.
#[derive(Clone, Copy)]
struct Query {
    target: ngx_str_t,
    args: ngx_str_t,
}

impl Query {
    fn of(request: Request) -> Self {
        let raw = request.raw();
        Self { target: raw.unparsed_uri, args: raw.args }
    }

    /// What is left of both; `None` where they stay. The target of a subrequest is its main request's.
    fn rewritten(request: Request, plan: &Plan) -> Result<Option<Self>, OutOfMemory> {
        let Some(rules) = &plan.args else { return Ok(None) };
        let sent = Self::of(request);
        // SAFETY: strings of a request live as long as it; the new ones lie in its pool.
        unsafe {
            let args = bytes_of(sent.args);
            let virtual_target = [b"/?", args].concat();
            let target = match request.is_main() {
                true => bytes_of(sent.target),
                false => &virtual_target,
            };
            let Some(found) = rules.rewrite(target) else { return Ok(None) };
            let copy =
                |bytes: &[u8]| ngx_str_t::from_bytes(request.pool(), bytes).ok_or(OutOfMemory);
            let left = match request.is_main() {
                true => copy(&found.target)?,
                false => sent.target,
            };
            Ok(Some(Self { target: left, args: copy(&found.args(args, target))? }))
        }
    }

    fn put(self, request: Request) {
        // SAFETY: the request is alive, and so are the strings.
        unsafe {
            (*request.as_ptr()).unparsed_uri = self.target;
            (*request.as_ptr()).args = self.args;
        }
        variables::forget(request, |name| name == b"request_uri");
    }
}

/// Runs `work` while the request has the target that its key is made of.
pub(in crate::nginx) fn with_target<T>(
    request: Request,
    plan: &Plan,
    work: impl FnOnce() -> Result<T, Reason>,
) -> Result<T, Reason> {
    match Query::rewritten(request, plan) {
        Ok(None) => work(),
        Ok(Some(query)) => {
            let sent = Query::of(request);
            query.put(request);
            let result = work();
            sent.put(request);
            result
        }
        Err(OutOfMemory) => Err(Reason::Internal),
    }
}

/// Whether a fill of this request would not be the request itself.
pub(in crate::nginx) fn changes(request: Request, plan: &Plan) -> bool {
    let cookies = || match &plan.cookies {
        Some(names) => request.has_other_cookies(names),
        None => false,
    };
    !matches!(Query::rewritten(request, plan), Ok(None)) || cookies()
}

/// Makes the request the one that the application is to answer for everybody.
pub(in crate::nginx) fn apply(lookup: Lookup) -> Result<(), OutOfMemory> {
    let (request, plan) = (lookup.request(), lookup.plan());
    let query = Query::rewritten(request, plan)?.map(|given| {
        let sent = Query::of(request);
        given.put(request);
        SentQuery { sent, given }
    });
    let cookies = match &plan.cookies {
        Some(names) if request.has_other_cookies(names) => {
            let field = Cookies::select(names, request.header_values("cookie")).field();
            let lines = CookieLines::replace(request, field.as_deref())?;
            forget_cookies(request);
            Some(lines)
        }
        _ => None,
    };
    let codings = match &plan.compress {
        Some(_) => limit_codings(request)?,
        None => None,
    };
    if query.is_some() || cookies.is_some() || codings.is_some() {
        lookup.sent().replace(Some(Sent { query, cookies, codings }));
    }
    Ok(())
}

/// Has the application asked for a coding that can be everybody's. nginx itself still knows which the
/// client takes.
fn limit_codings(request: Request) -> Result<Option<FieldLines>, OutOfMemory> {
    let given = coding::to_ask_for(request.accept_encoding().as_deref());
    let mut lines = request.header_values(ACCEPT_ENCODING.lowercase);
    if (lines.next(), lines.next()) == (given, None) {
        return Ok(None);
    }
    let (lines, _) = FieldLines::replace(request, ACCEPT_ENCODING, given)?;
    forget_codings(request);
    Ok(Some(lines))
}

fn forget_codings(request: Request) {
    variables::forget(request, |name| name == b"http_accept_encoding");
}

/// Makes the request again what the client sent.
pub(in crate::nginx) fn take_back(lookup: Lookup) -> Result<(), OutOfMemory> {
    let Some(Sent { query, cookies, codings }) = lookup.sent().take() else { return Ok(()) };
    let request = lookup.request();
    if let Some(SentQuery { sent, given }) = query {
        // Arguments that nginx has made meanwhile stay.
        let args = request.raw().args;
        let same = args.data == given.args.data && args.len == given.args.len;
        Query { target: sent.target, args: if same { sent.args } else { args } }.put(request);
    }
    if let Some(cookies) = cookies {
        cookies.restore(request)?;
        forget_cookies(request);
    }
    if let Some(codings) = codings {
        codings.restore(request)?;
        forget_codings(request);
    }
    Ok(())
}

fn forget_cookies(request: Request) {
    variables::forget(request, |name| name == b"http_cookie" || name.starts_with(b"cookie_"));
}

/// Gives a subrequest the fields that its main request has lost for a fill.
pub(in crate::nginx) fn give_fields(main: Lookup, request: Request) -> Result<(), OutOfMemory> {
    let sent = main.sent().borrow();
    let Some(Sent { cookies, codings, .. }) = &*sent else { return Ok(()) };
    cookies.as_ref().map_or(Ok(()), |cookies| cookies.give(request))?;
    codings.as_ref().map_or(Ok(()), |codings| codings.give(request))
}

impl Request {
    /// Whether the request has other cookies than those that count, or not in this form.
    fn has_other_cookies(self, names: &[String]) -> bool {
        let field = Cookies::select(names, self.header_values("cookie")).field();
        let mut lines = self.header_values("cookie");
        (lines.next(), lines.next()) != (field.as_deref(), None)
    }

    /// A field of the request as the application sees it on a fill.
    pub fn field_of_fill(self, plan: &Plan, name: &str) -> Option<Vec<u8>> {
        match &plan.cookies {
            Some(names) if name == "cookie" => {
                Cookies::select(names, self.header_values("cookie")).field()
            }
            _ if name == ACCEPT_ENCODING.lowercase && plan.compress.is_some() => {
                coding::to_ask_for(self.accept_encoding().as_deref()).map(Vec::from)
            }
            _ => self.header(name),
        }
    }
}
