//! Dates (RFC 9110 section 5.6.7): the three forms, without regard to case, as RFC 9111 section 4.2
//! asks caches to read them. The name of the day is not compared with the day.

use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&[u8]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const LONG_DAYS: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

const DAY: i64 = 86_400_000;
const FIFTY_YEARS: i64 = 50 * 146_097 * DAY / 400;

/// Milliseconds since 1970 of an HTTP date; `None` where it is of none of the three forms, names no
/// day of the calendar, or lies before 1970.
pub fn date_millis(value: &[u8]) -> Option<i64> {
    let text = value.trim_ascii();
    let moment = imf_fixdate(text).or_else(|| asctime(text));
    moment.and_then(Moment::millis).or_else(|| rfc850(text, now()))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(text: &[u8]) -> Option<Moment> {
    let mut rest = Rest(text);
    rest.one_of(&DAYS)?;
    rest.literal(b", ")?;
    let day = rest.number(2)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)? + 1;
    rest.literal(b" ")?;
    let year = rest.number(4)?;
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" GMT")?;
    rest.end(Moment { year, month, day, time })
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &[u8]) -> Option<Moment> {
    let mut rest = Rest(text);
    rest.one_of(&DAYS)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)? + 1;
    rest.literal(b" ")?;
    let day = if rest.literal(b" ").is_some() { rest.number(1) } else { rest.number(2) }?;
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" ")?;
    let year = rest.number(4)?;
    rest.end(Moment { year, month, day, time })
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`: of the years that end in these two digits the latest that is no
/// more than 50 years ahead.
fn rfc850(text: &[u8], now: i64) -> Option<i64> {
    let mut rest = Rest(text);
    rest.one_of(&LONG_DAYS)?;
    rest.literal(b", ")?;
    let day = rest.number(2)?;
    rest.literal(b"-")?;
    let month = rest.one_of(&MONTHS)? + 1;
    rest.literal(b"-")?;
    let of_century = rest.number(2)?;
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" GMT")?;
    let moment = rest.end(Moment { year: of_century, month, day, time })?;
    let century = (1970 + now / DAY * 400 / 146_097) / 100;
    let in_century = |century| Moment { year: century * 100 + of_century, ..moment }.millis();
    let is_near = |millis: &i64| *millis <= now.saturating_add(FIFTY_YEARS);
    [century + 1, century, century - 1].into_iter().filter_map(in_century).find(is_near)
}

/// A moment of the calendar, in UTC.
#[derive(Clone, Copy)]
struct Moment {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    /// Milliseconds of the day.
    time: i64,
}

impl Moment {
    fn millis(self) -> Option<i64> {
        let Self { year, month, day, time } = self;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if year < 1970 || !(1..=last).contains(&day) {
            return None;
        }
        // Years begin in March here, so that the day that leaps is the last one.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
        Some((days - 719_469) * DAY + time)
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Exactly this; else nothing is read.
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        let (head, tail) = self.0.split_at_checked(text.len())?;
        if !head.eq_ignore_ascii_case(text) {
            return None;
        }
        self.0 = tail;
        Some(())
    }

    /// One of some words: its place among them.
    fn one_of(&mut self, words: &[&[u8]]) -> Option<i64> {
        let begins =
            |word: &&[u8]| self.0.get(..word.len()).is_some_and(|h| h.eq_ignore_ascii_case(word));
        let at = words.iter().position(begins)?;
        self.0 = self.0.get(words.get(at)?.len()..)?;
        i64::try_from(at).ok()
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(digits)?;
        self.0 = tail;
        head.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
        })
    }

    /// `08:49:37` in milliseconds; 60 is a leap second.
    fn time(&mut self) -> Option<i64> {
        let hour = self.number(2)?;
        self.literal(b":")?;
        let minute = self.number(2)?;
        self.literal(b":")?;
        let second = self.number(2)?;
        let is_time = hour < 24 && minute < 60 && second <= 60;
        is_time.then_some(((hour * 60 + minute) * 60 + second) * 1000)
    }

    fn end(&self, moment: Moment) -> Option<Moment> {
        self.0.is_empty().then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MOMENT: Option<i64> = Some(784_111_777_000);
    /// 1 January 2026.
    const NOW: i64 = 1_767_225_600_000;

    #[test]
    fn three_forms_in_any_case() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            " sUN, 06 NOV 1994 08:49:37 gmt\t",
            "Wed, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "MONDAY, 06-nov-94 08:49:37 Gmt",
            "Sun Nov  6 08:49:37 1994",
            "Thu nov 06 08:49:37 1994",
        ] {
            assert_eq!(date_millis(text.as_bytes()), MOMENT, "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "now",
            "1994",
            "784111777",
            "Sun",
            "Sun,",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37 GMT+1",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov  1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:00 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 1995 08:49:37 GMT",
            "Sun, 29 Feb 2100 08:49:37 GMT",
            "Sun, 06 Nox 1994 08:49:37 GMT",
            "Xun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Dec 1969 23:59:59 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun",
        ] {
            assert_eq!(date_millis(text.as_bytes()), None, "{text}");
        }
        assert_eq!(date_millis(b"Sun, 06 Nov 1994 08:49:37 G\xffT"), None);
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_fifty_years_ahead() {
        let year = |digits: &str, now| {
            let text = format!("Sunday, 06-Nov-{digits} 08:49:37 GMT");
            rfc850(text.as_bytes(), now).map(|millis| 1970 + millis / DAY * 400 / 146_097)
        };
        for (digits, wanted) in
            [("26", 2026), ("75", 2075), ("76", 1976), ("77", 1977), ("99", 1999)]
        {
            assert_eq!(year(digits, NOW), Some(wanted), "{digits}");
        }
        let at_the_end_of_the_century = NOW + 73 * 146_097 * DAY / 400;
        assert_eq!(year("05", at_the_end_of_the_century), Some(2105));
        assert_eq!(year("60", at_the_end_of_the_century), Some(2060));
        assert_eq!(year("05", 0), Some(2005));
        assert_eq!(year("65", 0), None);
    }

    proptest! {
        #[test]
        fn every_date_that_httpdate_writes(seconds in 0..253_402_300_800_u64) {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            prop_assert_eq!(date_millis(text.as_bytes()), i64::try_from(seconds * 1000).ok());
            let [_, day, month, year, time, _] = text.split(' ').collect::<Vec<_>>()[..] else { panic!() };
            let asctime = format!("Sun {month} {:>2} {time} {year}", day.trim_start_matches('0'));
            prop_assert_eq!(date_millis(asctime.as_bytes()), i64::try_from(seconds * 1000).ok());
        }

        #[test]
        fn what_httpdate_reads(text in "[SM][uo]n(day)?,? [0-9]{2}[ -](Jan|Feb)[ -]([0-9]{2}){1,2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT") {
            let read = httpdate::parse_http_date(&text).ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            let is_short = text.starts_with("Sunday") || text.starts_with("Monday");
            if let (Some(read), false) = (read, is_short) {
                prop_assert_eq!(date_millis(text.as_bytes()), i64::try_from(read.as_millis()).ok());
            }
        }

        #[test]
        fn any_bytes(value in prop::collection::vec(any::<u8>(), 0..40)) {
            date_millis(&value);
        }
    }
}
