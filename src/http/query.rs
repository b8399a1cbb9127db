//! The query of a request target, byte for byte: what `redis_cache_args` leaves of it. Nothing is
//! decoded, so whatever an application makes of the bytes, it is made of bytes that the key has.

use std::borrow::Cow;

/// What `drop=tracking` stands for: parameters that tell a site's owner where a visitor came from,
/// and change no page.
pub const TRACKING: [&str; 17] = [
    "utm_*", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "mc_cid",
    "mc_eid", "_ga", "_gl", "yclid", "ttclid", "igshid", "twclid", "srsltid",
];

/// Names of parameters: one alone, or all that begin alike (`utm_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The name itself.
    Exact(Vec<u8>),
    /// What it begins with.
    Prefix(Vec<u8>),
}

impl Pattern {
    /// `*` at the end stands for anything; elsewhere it is itself.
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.into()),
            None => Self::Exact(text.into()),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix),
        }
    }
}

/// `redis_cache_args`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// `drop=`: parameters that are taken out.
    pub drop: Vec<Pattern>,
    /// `keep=`: the only ones that stay, where it is given.
    pub keep: Option<Vec<Pattern>>,
    /// `sort`: by name; parameters of one name keep their order.
    pub sort: bool,
}

/// What becomes of a request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The target, without `?` where nothing is left behind it, and without a fragment. A path that
    /// is empty (`GET http://a?x`) is `/`.
    pub target: Vec<u8>,
    /// Where its query begins in it, if it has one.
    query: Option<usize>,
    /// The segments that were taken out.
    dropped: Vec<Vec<u8>>,
}

impl Args {
    /// What becomes of `target`; `None` where it stays as it is.
    pub fn rewrite(&self, target: &[u8]) -> Option<Rewritten> {
        let (path, query) = split(target)?;
        let (mut kept, dropped): (Vec<_>, Vec<_>) =
            segments(query).partition(|segment| self.keeps(name_of(segment)));
        if self.sort {
            kept.sort_by_key(|segment| name_of(segment));
        }
        let mut rewritten = if path.is_empty() { b"/".to_vec() } else { path.to_vec() };
        let mut begins = None;
        for segment in kept {
            rewritten.push(if begins.is_none() { b'?' } else { b'&' });
            begins.get_or_insert(rewritten.len());
            rewritten.extend_from_slice(segment);
        }
        let dropped = dropped.into_iter().map(<[u8]>::to_vec).collect();
        let result = Rewritten { target: rewritten, query: begins, dropped };
        (result.target != target).then_some(result)
    }

    /// The target after [`Self::rewrite`].
    pub fn target<'a>(&self, target: &'a [u8]) -> Cow<'a, [u8]> {
        self.rewrite(target).map_or(Cow::Borrowed(target), |found| found.target.into())
    }

    fn keeps(&self, name: &[u8]) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        self.keep.as_deref().is_none_or(any) && !any(&self.drop)
    }
}

impl Rewritten {
    /// The query of the target; empty where there is none.
    pub fn query(&self) -> &[u8] {
        self.query.and_then(|at| self.target.get(at..)).unwrap_or_default()
    }

    /// What is left of `args`: the query where they are that of the target that was sent, `sent`;
    /// where nginx made others of it (`try_files ... /index.php?q=$uri&$args`), they lose what was
    /// taken out.
    pub fn args(&self, args: &[u8], sent: &[u8]) -> Vec<u8> {
        if split(sent).is_some_and(|(_, query)| query == args) {
            return self.query().to_vec();
        }
        let left = segments(args).filter(|&segment| !self.dropped.iter().any(|d| d == segment));
        left.collect::<Vec<_>>().join(&b'&')
    }
}

/// Path and query of a target that has one. A fragment, which no client should send, ends both.
fn split(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = target.iter().position(|byte| b"?#".contains(byte))?;
    let (path, rest) = target.split_at_checked(at)?;
    let query = rest.strip_prefix(b"?")?;
    Some((path, query.split(|&byte| byte == b'#').next()?))
}

/// What stands between the `&`; `;` is none of them. Empty ones say nothing.
fn segments(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&').filter(|segment| !segment.is_empty())
}

fn name_of(segment: &[u8]) -> &[u8] {
    segment.split(|&byte| byte == b'=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(names: &[&str]) -> Vec<Pattern> {
        names.iter().map(|name| Pattern::parse(name)).collect()
    }

    fn tracking() -> Args {
        Args { drop: patterns(&TRACKING), ..Args::default() }
    }

    fn keeping(names: &[&str]) -> Args {
        Args { keep: Some(patterns(names)), ..Args::default() }
    }

    #[track_caller]
    fn leaves(args: &Args, target: &str, left: &str) {
        let found = args.target(target.as_bytes());
        assert_eq!(String::from_utf8_lossy(&found), left, "{target}");
        assert_eq!(args.rewrite(&found), None, "once is enough");
    }

    #[test]
    fn campaigns_are_dropped_and_all_else_stays_as_it_was_sent() {
        for (target, left) in [
            ("/", "/"),
            ("/p?utm_source=a&utm_x=b", "/p"),
            ("/p?a=1&fbclid=x&b=%41&&c", "/p?a=1&b=%41&c"),
            ("/p?fbclid", "/p"),
            (
                "/p?fbclid_2=x&UTM_source=y&%75tm_source=z",
                "/p?fbclid_2=x&UTM_source=y&%75tm_source=z",
            ),
            ("/p?a=1;utm_source=x", "/p?a=1;utm_source=x"),
            ("/p?utm_source=x;a=1", "/p"),
            ("/p?", "/p"),
            ("/p?&", "/p"),
            ("/p?a=1#utm_source", "/p?a=1"),
            ("/p?utm_id=1#x", "/p"),
            ("/p#?utm_id=1", "/p#?utm_id=1"),
            ("/p?a?utm_id=1", "/p?a?utm_id=1"),
            ("?utm_id=1", "/"),
        ] {
            leaves(&tracking(), target, left);
        }
    }

    #[test]
    fn only_what_is_kept_stays() {
        leaves(&keeping(&["page", "f[*"]), "/?x=1&page=2&f[a]=3&pages=4", "/?page=2&f[a]=3");
        leaves(&keeping(&[]), "/?x=1&y", "/");
        let both = Args { drop: patterns(&["a1"]), ..keeping(&["a*"]) };
        leaves(&both, "/?a1=x&a2=y", "/?a2=y");
        leaves(&Args { drop: patterns(&["*"]), ..Args::default() }, "/?a&b", "/");
    }

    #[test]
    fn sorted_by_name_alone() {
        let sort = Args { sort: true, ..Args::default() };
        leaves(&sort, "/?b=1&a=2&b=0&a=1&a", "/?a=2&a=1&a&b=1&b=0");
        leaves(&sort, "/?a=1&b", "/?a=1&b");
    }

    #[test]
    fn args_that_nginx_made_lose_what_was_dropped() {
        let sent = b"/p?a=1&utm_id=2#x";
        let rewritten = tracking().rewrite(sent).unwrap();
        assert_eq!(rewritten.query(), b"a=1");
        assert_eq!(rewritten.args(b"a=1&utm_id=2", sent), b"a=1");
        assert_eq!(rewritten.args(b"q=/p&a=1&utm_id=2", sent), b"q=/p&a=1");
        assert_eq!(rewritten.args(b"", sent), b"");
        let kept = keeping(&["a"]).rewrite(b"/p?a=1&b=2").unwrap();
        assert_eq!(kept.args(b"q=/p&a=1&b=2", b"/p?a=1&b=2"), b"q=/p&a=1");
    }

    proptest! {
        /// Two targets with one key reach the application as the same bytes, and what is dropped
        /// is nowhere in them.
        #[test]
        fn what_is_not_in_the_key_does_not_reach_the_application(
            target in "/[a-b]{0,2}([?#&=;][a-bu_tm*%]{0,5}){0,6}", sort: bool,
        ) {
            let args = Args { drop: patterns(&["utm_*", "a"]), sort, ..Args::default() };
            let left = args.target(target.as_bytes()).into_owned();
            prop_assert_eq!(args.rewrite(&left), None);
            let query = split(&left).map_or(&b""[..], |(_, query)| query);
            for segment in segments(query) {
                let name = name_of(segment);
                prop_assert!(name != b"a" && !name.starts_with(b"utm_"));
            }
        }
    }
}
