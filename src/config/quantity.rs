//! How durations, sizes, shares and addresses are written: `1h30m`, `256 MiB`, `30%`, `[::1]:80`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use super::MaxDeletes;

const A_DURATION: &str = "a duration is written as `30s`, `5m`, `1h30m` or `500ms`";
const A_SIZE: &str = "a size is written as `256 MiB`, `10 MB` or as a number of bytes";
const A_SHARE: &str =
    "it is a share such as `30%` (1% to 100%) or an exact count such as `5`; `0` is none";

/// The units of a size.
const SIZE_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Reads `30s`, `5m`, `1h30m`, `0s`.
///
/// # Errors
/// How to write it instead.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || "dhms".contains(c));
    let span = text.parse::<Span>().ok().filter(|_| is_plain).ok_or(A_DURATION)?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| A_DURATION)?;
    Duration::try_from(duration).map_err(|_| A_DURATION)
}

/// Reads `256 MiB`, `10MB` or a plain number of bytes.
///
/// # Errors
/// How to write it instead.
pub(crate) fn parse_size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = leading_number(text).ok_or(A_SIZE)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, bytes)| number.checked_mul(*bytes))
        .ok_or(A_SIZE)
}

/// Reads `30%` or a count.
///
/// # Errors
/// How to write it instead, where it is neither, or the share is 0% (which would still allow 3) or over 100%.
pub(crate) fn parse_max_deletes(text: &str) -> Result<MaxDeletes, &'static str> {
    let (number, rest) = leading_number(text).ok_or(A_SHARE)?;
    match rest {
        "%" => u8::try_from(number)
            .ok()
            .filter(|share| (1..=100).contains(share))
            .map(MaxDeletes::Percent)
            .ok_or(A_SHARE),
        "" => usize::try_from(number).map(MaxDeletes::Count).map_err(|_| A_SHARE),
        _ => Err(A_SHARE),
    }
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// Reads an address to listen on; `none` is nowhere.
///
/// # Errors
/// How to write it instead.
pub(crate) fn parse_listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "none" {
        return Ok(None);
    }
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| (IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()),
        None => text.parse().ok(),
    };
    address.map(Some).ok_or_else(|| {
        "write an address and a port, as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`, \
         or `none`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = Duration::from_secs;
        for (text, duration) in [
            ("0s", seconds(0)),
            ("30s", seconds(30)),
            ("5m", seconds(300)),
            ("1h", seconds(3600)),
            ("1h30m", seconds(5400)),
            ("2d", seconds(172_800)),
            ("1s500ms", Duration::from_millis(1500)),
        ] {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
        for text in ["", "30", "s", "-5s", "5M", "1m1h", "1s1s", "2mo", "99999999999999999d"] {
            assert_eq!(parse_duration(text), Err(A_DURATION), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("0", 0),
            ("1024", 1024),
            ("10MB", 10_000_000),
            ("256 MiB", 256 << 20),
            ("1gib", 1 << 30),
            ("12 B", 12),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 MiB", "1 TB", "1 MiB x", "99999999999999999999"] {
            assert_eq!(parse_size(text), Err(A_SIZE), "{text}");
        }
    }

    #[test]
    fn shares_and_counts() {
        assert_eq!(parse_max_deletes("30%"), Ok(MaxDeletes::Percent(30)));
        assert_eq!(parse_max_deletes("12"), Ok(MaxDeletes::Count(12)));
        for text in ["", "%", "0%", "101%", "-1", "30 %", "1.5%", "all"] {
            assert_eq!(parse_max_deletes(text), Err(A_SHARE), "{text}");
        }
    }

    #[test]
    fn addresses_and_none() {
        assert_eq!(parse_listen("none"), Ok(None));
        for (text, address) in
            [("localhost:80", "127.0.0.1:80"), ("0.0.0.0:1", "0.0.0.0:1"), ("[::1]:0", "[::1]:0")]
        {
            assert_eq!(parse_listen(text), Ok(Some(address.parse().unwrap())), "{text}");
        }
        for text in ["", "8080", "127.0.0.1", "localhost", "host:80", "127.0.0.1:70000"] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
    }
}
