//! Content codings at work: a body to its coded form and back, as a whole. What lies in Redis is
//! untrusted, so that decoding is bounded.

mod br;
mod gzip;

use crate::http::coding::Coding;

/// Why a coded body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It is not, or not only, the coded form of a body.
    Damaged,
    /// The body is larger than it may be.
    TooLarge,
}

/// The coded form of `body`; `None` where it is longer than `most` bytes. `level` is one of
/// [`levels`].
pub fn code(coding: Coding, level: u8, body: &[u8], most: usize) -> Option<Vec<u8>> {
    match coding {
        Coding::Gzip => gzip::code(level, body, most),
        Coding::Br => br::code(level, body, most),
    }
}

/// The body of which `coded` is the coded form, of at most `most` bytes.
pub fn decode(coding: Coding, coded: &[u8], most: usize) -> Result<Vec<u8>, Undecodable> {
    match coding {
        Coding::Gzip => gzip::decode(coded, most),
        Coding::Br => br::decode(coded, most),
    }
}

/// The least and the greatest level, and the one that is taken unless another is asked for.
pub const fn levels(coding: Coding) -> (u8, u8, u8) {
    match coding {
        Coding::Gzip => (1, 9, 6),
        Coding::Br => (1, 11, 5),
    }
}

/// The longest body whose coding takes about a millisecond at `level` (docs/performance.md): longer
/// ones are not for the thread that others wait for.
pub const fn quick(coding: Coding, level: u8) -> usize {
    match (coding, level) {
        (_, 0..=1) => 128 << 10,
        (Coding::Gzip, ..=6) => 64 << 10,
        (Coding::Gzip, _) | (Coding::Br, ..=5) => 16 << 10,
        (Coding::Br, _) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(length: usize) -> Vec<u8> {
        let line =
            |n: usize| format!("<li class=\"entry\"><a href=\"/page/{n}/\">Page {n}</a></li>\n");
        (0..).flat_map(|n| line(n * 7919 % 1000).into_bytes()).take(length).collect()
    }

    #[test]
    fn html_shrinks_and_comes_back() {
        for coding in Coding::ALL {
            let (least, greatest, usual) = levels(coding);
            for level in [least, usual, greatest] {
                for length in [0, 1, 1000, 100_000] {
                    let body = html(length);
                    let coded = code(coding, level, &body, length + 100).unwrap();
                    assert!(length < 1000 || coded.len() < length / 2, "{coding:?} {level}");
                    assert_eq!(decode(coding, &coded, length), Ok(body));
                }
            }
        }
    }

    #[test]
    fn what_does_not_shrink_enough_has_no_coded_form() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(state >> 24).unwrap()
        };
        let noise: Vec<u8> = (0..5000).map(|_| next()).collect();
        for coding in Coding::ALL {
            assert_eq!(code(coding, levels(coding).2, &noise, 4500), None);
        }
    }

    #[test]
    fn a_bomb_and_a_body_that_is_too_large_are_not_decoded() {
        for coding in Coding::ALL {
            let bomb = code(coding, levels(coding).2, &vec![0; 50 << 20], 1 << 20).unwrap();
            assert!(bomb.len() < 60_000, "{coding:?}");
            assert_eq!(decode(coding, &bomb, 8 << 20), Err(Undecodable::TooLarge), "{coding:?}");
            let coded = code(coding, 1, &html(1000), 1000).unwrap();
            assert_eq!(decode(coding, &coded, 999), Err(Undecodable::TooLarge), "{coding:?}");
        }
    }

    #[test]
    fn a_length_that_lies_is_damage() {
        let mut coded = code(Coding::Gzip, 6, &html(1000), 1000).unwrap();
        let end = coded.len() - 4;
        for length in [0_u32, 999, 1001, 5000] {
            coded.splice(end.., length.to_le_bytes());
            assert_eq!(decode(Coding::Gzip, &coded, 8000), Err(Undecodable::Damaged), "{length}");
        }
    }

    #[test]
    fn a_window_of_more_than_16_mib_is_damage() {
        assert_eq!(decode(Coding::Br, &[0x11, 0x1e, 0x03], 8000), Err(Undecodable::Damaged));
    }

    #[test]
    fn cut_and_longer_forms_are_damage() {
        for coding in Coding::ALL {
            let coded = code(coding, levels(coding).2, &html(3000), 3000).unwrap();
            for end in 1..coded.len() {
                let cut = coded.get(..end).unwrap();
                assert_eq!(
                    decode(coding, cut, 8000),
                    Err(Undecodable::Damaged),
                    "{coding:?} {end}"
                );
            }
            for more in [&b"\0"[..], b"trailing bytes", &coded] {
                let longer = [&coded, more].concat();
                assert!(decode(coding, &longer, 8000).is_err(), "{coding:?} {}", more.len());
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_damage() {
        let mut coded = code(Coding::Gzip, 6, &html(3000), 3000).unwrap();
        let at = coded.len() - 6;
        coded.splice(at..=at, [coded.get(at).unwrap() ^ 1]);
        assert_eq!(decode(Coding::Gzip, &coded, 8000), Err(Undecodable::Damaged));
    }

    proptest! {
        #[test]
        fn decoded_code_is_what_was_coded(
            body in prop::collection::vec(any::<u8>(), 0..3000),
            repeated in 1..9_usize,
            level in 1..9_u8,
        ) {
            let body = body.repeat(repeated);
            for coding in Coding::ALL {
                let coded = code(coding, level, &body, body.len() + 1000).unwrap();
                prop_assert_eq!(decode(coding, &coded, body.len()), Ok(body.clone()));
            }
        }

        #[test]
        fn anything_is_decoded_within_its_bounds(
            coded in prop::collection::vec(any::<u8>(), 0..2000),
            most in 0..5000_usize,
        ) {
            let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", coded.as_slice()].concat();
            for (coding, coded) in [(Coding::Br, &coded), (Coding::Gzip, &coded), (Coding::Gzip, &gzip)] {
                if let Ok(body) = decode(coding, coded, most) {
                    prop_assert!(body.len() <= most);
                }
            }
        }
    }
}
