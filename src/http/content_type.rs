//! Content-Type (RFC 9110 section 8.3), as far as nginx keeps its parts apart.

/// The length of the type without its parameters, and the charset.
pub fn parts(value: &[u8]) -> (usize, Option<&[u8]>) {
    let (essence, mut rest) = cut(value);
    while let Some(parameter) = rest {
        let parameter = parameter.trim_ascii_start();
        if parameter.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"charset=")) {
            let charset = cut(parameter).0.trim_ascii_end().get(8..).unwrap_or_default();
            let unquoted = charset.strip_prefix(b"\"").and_then(|c| c.strip_suffix(b"\""));
            return (essence.trim_ascii_end().len(), Some(unquoted.unwrap_or(charset)));
        }
        rest = cut(parameter).1;
    }
    (essence.trim_ascii_end().len(), None)
}

/// What is before the first semicolon, and what is behind it.
fn cut(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    match value.iter().position(|&byte| byte == b';') {
        Some(at) => value.split_at_checked(at).map_or((value, None), |(a, b)| (a, b.get(1..))),
        None => (value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_ends_before_its_parameters() {
        for (value, length) in
            [("text/html", 9), ("text/html; a=b", 9), ("text/html ;a", 9), (";", 0), ("", 0)]
        {
            assert_eq!(parts(value.as_bytes()), (length, None), "{value:?}");
        }
    }

    #[test]
    fn the_first_charset_counts_without_its_quotes() {
        for (value, wanted) in [
            ("text/html; charset=utf-8", "utf-8"),
            ("text/html;CharSet=\"utf-8\"", "utf-8"),
            ("text/html; a=b ; charset=one; charset=two", "one"),
            ("text/html; charset=", ""),
            ("text/html; charset= utf-8 ;", " utf-8"),
            ("text/html;;charset=a", "a"),
            ("text/html; charset=\"", "\""),
            ("text/html; charset=\"open", "\"open"),
        ] {
            assert_eq!(parts(value.as_bytes()), (9, Some(wanted.as_bytes())), "{value:?}");
        }
    }
}
