//! Content-Type (RFC 9110 section 8.3), as far as nginx keeps its parts apart.

/// The length of the type without its parameters, and the charset.
pub fn parts(value: &[u8]) -> (usize, Option<&[u8]>) {
    let mut parts = value.split(|&byte| byte == b';');
    let length = parts.next().unwrap_or_default().trim_ascii_end().len();
    (length, parts.map(<[u8]>::trim_ascii).find_map(charset))
}

fn charset(parameter: &[u8]) -> Option<&[u8]> {
    let (name, value) = parameter.split_at_checked(8)?;
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    name.eq_ignore_ascii_case(b"charset=").then_some(unquoted.unwrap_or(value))
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
            ("text/html; charset=\"", "\""),
            ("text/html; charset=\"open", "\"open"),
        ] {
            assert_eq!(parts(value.as_bytes()), (9, Some(wanted.as_bytes())), "{value:?}");
        }
    }
}
