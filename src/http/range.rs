//! Range (RFC 9110 section 14.2).

/// Whether the Range lines of a request ask for the whole page: one line, one range, from the first
/// byte to the end.
pub fn is_whole<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let value = lines.next().unwrap_or_default();
    value.eq_ignore_ascii_case(b"bytes=0-") && lines.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(lines: &[&str]) -> bool {
        is_whole(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn from_the_first_byte_to_the_end_is_the_whole_page() {
        assert!(whole(&["bytes=0-"]) && whole(&["Bytes=0-"]));
    }

    #[test]
    fn everything_else_is_a_part_or_of_no_form() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=0",
            "bytes=-",
            "bytes=-0",
            "bytes=-5",
            "bytes=1-",
            "bytes=00-",
            "bytes=0-0",
            "bytes=0-499",
            "bytes=0-,5-9",
            "bytes=0-,0-",
            "bytes=5-9,0-",
            "bytes= 0-",
            "bytes=0 -",
            "bytes=0- ",
            " bytes=0-",
            "bytes =0-",
            "bytes:0-",
            "0-",
            "lines=0-",
            "bytes=0-\0",
        ] {
            assert!(!whole(&[value]), "{value:?}");
        }
        assert!(!whole(&[]) && !whole(&["bytes=0-", "bytes=0-"]) && !whole(&["bytes=0-", ""]));
    }
}
