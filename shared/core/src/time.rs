//! Times as text: RFC 3339, in UTC, at whatever precision they were written.
//!
//! The clock itself is never read here.

use std::borrow::Cow;
use std::fmt::Write;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time, as exact as its text: the fraction keeps all its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant<'a> {
    /// Whole seconds since 1970-01-01T00:00:00Z; negative before it. A leap
    /// second counts as the second after it.
    pub seconds: i64,
    /// The fraction's digits without trailing zeros, which sort as text.
    fraction: &'a str,
}

impl Instant<'_> {
    /// Milliseconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn unix_millis(&self) -> i64 {
        let digits = self.fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
        let millis = digits.fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        self.seconds * 1000 + millis
    }
}

/// Reads an RFC 3339 time (upper-case `T`, and `Z` or an offset).
pub fn parse(text: &str) -> Option<Instant<'_>> {
    let fields = fields(text)?;
    Some(Instant {
        seconds: fields.local_seconds - fields.offset_seconds,
        fraction: fields.fraction.trim_end_matches('0'),
    })
}

/// An RFC 3339 time converted to `Z`, the fraction's digits as they were; none
/// if it is not RFC 3339 or its UTC year has not four digits.
pub fn to_utc(text: &str) -> Option<Cow<'_, str>> {
    let fields = fields(text)?;
    if text.ends_with('Z') {
        return Some(Cow::Borrowed(text));
    }
    let leap = &text[17..19] == "60";
    let utc = fields.local_seconds - fields.offset_seconds - i64::from(leap);
    let mut out = String::with_capacity(text.len());
    push_date_time(utc, &mut out)?;
    if leap {
        out.replace_range(17..19, "60");
    }
    if !fields.fraction.is_empty() {
        out.push('.');
        out.push_str(fields.fraction);
    }
    out.push('Z');
    Some(Cow::Owned(out))
}

/// `2026-11-24T21:00:00.000Z` for milliseconds since 1970-01-01T00:00:00Z. Past
/// the year 9999 it stays at that year's last instant.
pub fn from_unix_millis(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let mut out = String::with_capacity(24);
    match push_date_time(seconds, &mut out) {
        // Writing to a string cannot fail.
        Some(()) => drop(write!(out, ".{:03}Z", millis % 1000)),
        None => out.push_str("9999-12-31T23:59:59.999Z"),
    }
    out
}

/// `2026-11-24T21:00:00Z` for seconds since 1970-01-01T00:00:00Z. Past the year
/// 9999 it stays at that year's last second.
pub fn from_unix_seconds(seconds: u64) -> String {
    let mut out = String::with_capacity(20);
    match push_date_time(i64::try_from(seconds).unwrap_or(i64::MAX), &mut out) {
        Some(()) => out.push('Z'),
        None => out.push_str("9999-12-31T23:59:59Z"),
    }
    out
}

struct Fields<'a> {
    /// As if the local time were UTC.
    local_seconds: i64,
    offset_seconds: i64,
    fraction: &'a str,
}

fn fields(text: &str) -> Option<Fields<'_>> {
    let bytes = text.as_bytes();
    let fixed = bytes.get(..19)?;
    for (at, byte) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if fixed[at] != byte {
            return None;
        }
    }
    let year = digits(&fixed[0..4])?;
    let (month, day) = (digits(&fixed[5..7])?, digits(&fixed[8..10])?);
    let (hour, minute) = (digits(&fixed[11..13])?, digits(&fixed[14..16])?);
    let second = digits(&fixed[17..19])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = &text[19..];
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let end = after.bytes().position(|byte| !byte.is_ascii_digit())?;
        if end == 0 {
            return None;
        }
        (fraction, rest) = after.split_at(end);
    }
    let local_seconds =
        days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    let offset_seconds = offset(rest.as_bytes())?;
    // A leap second is the last of a UTC day.
    if second == 60 && (local_seconds - offset_seconds) % SECONDS_PER_DAY != 0 {
        return None;
    }
    Some(Fields {
        local_seconds,
        offset_seconds,
        fraction,
    })
}

fn offset(text: &[u8]) -> Option<i64> {
    if text == b"Z" {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = text else {
        return None;
    };
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some(if *sign == b'-' { -seconds } else { seconds })
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + i64::from(byte - b'0'))
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in
/// March here, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (from_march * 153 + 2) / 5 + day - 1 - 719_468
}

/// Appends `2026-11-24T21:00:00`; none outside the years 0 to 9999.
fn push_date_time(seconds: i64, out: &mut String) -> Option<()> {
    let (day, second) = (
        seconds.div_euclid(SECONDS_PER_DAY),
        seconds.rem_euclid(SECONDS_PER_DAY),
    );
    // Eras of 400 years have 146,097 days each.
    let shifted = day.checked_add(719_468)?;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_keeps_the_digits() {
        for (text, utc) in [
            ("2023-07-10T11:42:36Z", Some("2023-07-10T11:42:36Z")),
            (
                "2023-07-10T13:42:36.120+02:00",
                Some("2023-07-10T11:42:36.120Z"),
            ),
            (
                "2019-05-15T21:01:29.1234567Z",
                Some("2019-05-15T21:01:29.1234567Z"),
            ),
            ("2024-03-01T00:30:00+01:00", Some("2024-02-29T23:30:00Z")),
            ("2023-12-31T23:30:00-00:45", Some("2024-01-01T00:15:00Z")),
            (
                "2023-07-10T11:42:36.0-00:00",
                Some("2023-07-10T11:42:36.0Z"),
            ),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:60Z")),
            (
                "2017-01-01T00:59:60.5+01:00",
                Some("2016-12-31T23:59:60.5Z"),
            ),
            ("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00Z")),
            ("0000-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59-00:01", None),
            ("2016-12-31T12:00:60Z", None),
            ("2023-07-10t11:42:36Z", None),
            ("2023-07-10T11:42:36z", None),
            ("2023-07-10 11:42:36Z", None),
            ("2023-07-10T11:42:36", None),
            ("2023-07-10T11:42:36.Z", None),
            ("2023-07-10T11:42:36.5", None),
            ("2023-02-29T11:42:36Z", None),
            ("2023-13-01T11:42:36Z", None),
            ("2023-00-01T11:42:36Z", None),
            ("2023-01-00T11:42:36Z", None),
            ("2023-07-10T24:00:00Z", None),
            ("2023-07-10T11:42:36+2:00", None),
            ("2023-07-10T11:42:36+24:00", None),
            ("2023-07-10T11:42:36ZZ", None),
            ("２023-07-10T11:42:36Z", None),
            ("2023-07-10T11:42:3é", None),
            ("", None),
        ] {
            assert_eq!(to_utc(text).as_deref(), utc, "{text}");
        }
    }

    #[test]
    fn instants_sort_by_time_not_by_spelling() {
        let at = |text| parse(text).unwrap();
        assert_eq!(
            at("2023-07-10T11:42:36.500Z"),
            at("2023-07-10T13:42:36.5+02:00")
        );
        assert!(at("2023-07-10T11:42:36.5Z") > at("2023-07-10T11:42:36.4999999999999Z"));
        assert!(at("2023-07-10T11:42:36Z") < at("2023-07-10T11:42:36.000000001Z"));
        assert!(at("1969-12-31T23:59:59.9Z") < at("1970-01-01T00:00:00Z"));
        assert_eq!(
            at("2000-02-29T00:00:00.0019Z").unix_millis(),
            951_782_400_001
        );
        assert_eq!(at("1969-12-31T23:59:59.9Z").unix_millis(), -100);
    }

    #[test]
    fn every_day_of_the_calendar_goes_there_and_back() {
        let mut expected = days(0, 1, 1);
        assert_eq!(days(1970, 1, 1), 0);
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in [1, 2, 28, days_in_month(year, month)] {
                    let mut text = String::new();
                    push_date_time(days(year, month, day) * SECONDS_PER_DAY + 86_399, &mut text)
                        .unwrap();
                    assert_eq!(text, format!("{year:04}-{month:02}-{day:02}T23:59:59"));
                }
                assert_eq!(days(year, month, 1), expected);
                expected += days_in_month(year, month);
            }
        }
        assert_eq!(
            from_unix_millis(1_795_554_000_007),
            "2026-11-24T21:00:00.007Z"
        );
        assert_eq!(from_unix_seconds(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(from_unix_seconds(u64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(from_unix_millis(u64::MAX), "9999-12-31T23:59:59.999Z");
    }
}
