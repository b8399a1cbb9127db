//! The cookies of a request that `redis_cache_cookies` names: those are part of the key, and the only
//! ones that the application is sent on a fill.

/// The longest value that counts, in bytes: a longer one would make a page for one visitor alone.
pub const MAX_VALUE: usize = 256;

/// The cookies that count, by name, and in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Cookies<'a> {
    /// Those among the Cookie `lines` of a request whose names are in `names`, which is sorted. One
    /// that comes twice is not there: applications differ in which they take. Nor is one whose value
    /// is longer than [`MAX_VALUE`].
    pub fn select(names: &[String], lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut found: Vec<(&[u8], &[u8])> = lines
            .flat_map(|line| line.split(|&byte| byte == b';'))
            .filter_map(pair)
            .filter(|(name, _)| names.iter().any(|known| known.as_bytes() == *name))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        let once =
            found.chunk_by(|(one, _), (other, _)| one == other).filter_map(|same| match same {
                [(name, value)] if value.len() <= MAX_VALUE => Some((*name, *value)),
                _ => None,
            });
        Self(once.collect())
    }

    /// The Cookie field of a fill; `None` where there is none.
    pub fn field(&self) -> Option<Vec<u8>> {
        let pairs: Vec<_> =
            self.0.iter().map(|(name, value)| [*name, *value].join(&b'=')).collect();
        (!pairs.is_empty()).then(|| pairs.join(&b"; "[..]))
    }

    /// Appends what the cookies add to the text of a key: nothing where there are none, else NUL,
    /// which is in no target and no field, and of each its length-prefixed name and value. A length
    /// prefix is the length in decimal digits and a colon.
    pub fn append_to(&self, text: &mut Vec<u8>) {
        if !self.0.is_empty() {
            text.push(0);
        }
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(format!("{}:", part.len()).as_bytes());
            text.extend_from_slice(part);
        }
    }
}

/// `name=value`, white space around it taken off. What has no `=` is no cookie.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let at = text.iter().position(|&byte| byte == b'=')?;
    let (name, value) = text.split_at_checked(at)?;
    Some((name, value.get(1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn select<'a>(names: &[&str], lines: &[&'a str]) -> Cookies<'a> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Cookies::select(&names, lines.iter().map(|line| line.as_bytes()))
    }

    fn field(names: &[&str], lines: &[&str]) -> Option<String> {
        select(names, lines).field().map(|field| String::from_utf8(field).unwrap())
    }

    #[test]
    fn those_that_are_named() {
        let names = ["Lang", "cur", "lang"];
        for (lines, left) in [
            (&["_ga=1; lang=de"][..], Some("lang=de")),
            (&["lang=de", "cur=EUR;x=y"], Some("cur=EUR; lang=de")),
            (&["lang=de; Lang=en"], Some("Lang=en; lang=de")),
            (&["lang="], Some("lang=")),
            (&["lang=a=b; cur=\"x, y\""], Some("cur=\"x, y\"; lang=a=b")),
            (&["lang; cur"], None),
            (&["lang =de; xlang=de; langx=de; =de"], None),
            (&["lang=de; lang=en; cur=x"], Some("cur=x")),
            (&["lang=de", "lang=de"], None),
            (&[], None),
        ] {
            assert_eq!(field(&names, lines).as_deref(), left, "{lines:?}");
        }
        assert_eq!(field(&[], &["lang=de"]), None);
    }

    #[test]
    fn a_value_that_is_too_long_is_not_there() {
        let longest = format!("lang={}", "x".repeat(MAX_VALUE));
        assert_eq!(field(&["lang"], &[&longest]), Some(longest.clone()));
        assert_eq!(field(&["lang"], &[&format!("{longest}x")]), None);
    }

    fn key(names: &[&str], lines: &[&str]) -> Vec<u8> {
        let mut text = b"http://a/".to_vec();
        select(names, lines).append_to(&mut text);
        text
    }

    #[test]
    fn what_the_key_has() {
        assert_eq!(key(&["a", "lang"], &["x=1"]), b"http://a/");
        assert_eq!(key(&["a", "lang"], &["lang=de; a="]), b"http://a/\x001:a0:4:lang2:de");
        assert_ne!(key(&["a"], &["a="]), key(&["a"], &[]));
        assert_ne!(key(&["a", "b"], &["a=1; b="]), key(&["a", "b"], &["a=11:b"]));
    }

    proptest! {
        /// Two requests that share a key send the application the same bytes, and none that do not.
        #[test]
        fn key_and_field_say_the_same(one in "[ab=; ,]{0,12}", two in "[ab=; ,]{0,12}") {
            let names = ["a", "b"];
            let same_key = key(&names, &[&one]) == key(&names, &[&two]);
            prop_assert_eq!(same_key, field(&names, &[&one]) == field(&names, &[&two]));
        }
    }
}
