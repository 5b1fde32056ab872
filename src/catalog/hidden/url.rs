//! Secrets inside URLs: user info, and parameters whose names say so. JDBC URLs are no URLs by
//! any standard, so this goes by what drivers accept, and in doubt takes too much.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::name::says_secret;

/// Stands for each byte of a reference or of what masking has put in a secret's place.
pub(super) const FILLER: u8 = 1;

/// A secret that was found in a text, with the name that it has there.
pub(super) type Found = (Range<usize>, String);

/// The passwords in the user info of all URLs in a skeleton.
pub(super) fn user_info(skeleton: &str, found: &mut Vec<Found>) {
    for (at, separator) in skeleton.match_indices("://") {
        let start = at + separator.len();
        if let Some(range) = password_of_authority(&skeleton[start..]) {
            found.push((start + range.start..start + range.end, "password".to_owned()));
        }
    }
    if let Some(range) = password_of_oracle(skeleton) {
        found.push((range, "password".to_owned()));
    }
}

/// The password in `user:password@host...`, which may hold characters that a standard URL
/// would have to encode.
fn password_of_authority(rest: &str) -> Option<Range<usize>> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let authority = without_parameters(authority);
    let colon = authority.find(':');
    if let Some(at) = authority.rfind('@') {
        let password = colon? + 1..at;
        return (password.start < password.end).then_some(password);
    }
    // `user:pass/word@host`: what follows the colon is no port, so it is a password that holds
    // a character which ended the authority above.
    let tail = authority.get(colon? + 1..)?;
    let several_hosts = tail.contains([',', ')']) || authority.starts_with('[');
    if is_port(tail) || several_hosts {
        return None;
    }
    let end = rest.rfind('@').filter(|at| *at >= authority.len())?;
    Some(colon? + 1..end)
}

/// Cuts `;user=a;password=b@c` off a `host:port`, as some JDBC URLs have it, but leaves a `;`
/// in a password alone.
fn without_parameters(authority: &str) -> &str {
    let cut = authority.match_indices(';').map(|(at, _)| at).find(|at| {
        let host = &authority[..*at];
        begins_parameter(&authority[at + 1..])
            && host.rsplit_once(':').is_none_or(|(_, port)| is_port(port))
    });
    cut.map_or(authority, |at| &authority[..at])
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == FILLER)
}

/// The password in `jdbc:oracle:thin:user/password@...`.
fn password_of_oracle(skeleton: &str) -> Option<Range<usize>> {
    let lower = skeleton.trim_start().to_ascii_lowercase();
    let indent = skeleton.len() - lower.len();
    let driver = lower.strip_prefix("jdbc:oracle:")?;
    let login = driver.split_once(':')?.1;
    let start = indent + lower.len() - login.len();
    let at = login.rfind('@')?;
    let slash = login.get(..at)?.find('/')?;
    // `@//host/service` without a login.
    let has_login = !login.starts_with('@') && slash > 0 && slash + 1 < at;
    has_login.then_some(start + slash + 1..start + at)
}

/// The values of all parameters in a skeleton whose names say that they are secrets.
pub(super) fn parameters(skeleton: &str, found: &mut Vec<Found>) {
    let mut done = 0;
    for (equals, _) in skeleton.match_indices('=') {
        if equals < done {
            continue;
        }
        let Some(name) = name_before(skeleton, equals) else { continue };
        // A bare `key=` is as often no secret.
        if name.eq_ignore_ascii_case("key") || !says_secret(&name) {
            continue;
        }
        let range = value_after(skeleton, equals + 1);
        done = range.end;
        let value = &skeleton[range.clone()];
        if !value.is_empty() && !is_boolean(value) {
            found.push((range, name));
        }
    }
}

/// Whether a value is a switch and no secret, whatever its name says.
pub(super) fn is_boolean(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// The name that ends at an `=`, percent-decoded.
pub(super) fn name_before(skeleton: &str, equals: usize) -> Option<String> {
    let before = skeleton[..equals].trim_end();
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_name_character(*c))
        .last()
        .map(|(index, _)| index)?;
    Some(percent_decode_str(&before[start..]).decode_utf8_lossy().into_owned())
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%')
}

fn value_after(skeleton: &str, start: usize) -> Range<usize> {
    let rest = &skeleton[start..];
    let in_parentheses = {
        let before = &skeleton[..start];
        before.matches('(').count() > before.matches(')').count()
    };
    for (open, close) in [('{', '}'), ('"', '"'), ('\'', '\'')] {
        if let Some(inside) = rest.strip_prefix(open)
            && let Some(end) = inside.find(close)
            && inside[end + 1..].chars().next().is_none_or(|c| matches!(c, '&' | ';' | ',' | ')'))
        {
            return start + 1..start + 1 + end;
        }
    }
    if rest.starts_with(['&', ';']) || in_parentheses && rest.starts_with([',', ')']) {
        return start..start;
    }
    let filled = rest.bytes().take_while(|b| *b == FILLER).count();
    if filled > 0 && rest[filled..].starts_with(['&', ';', ',', ')', '?', '#', '/', ' ']) {
        return start..start + filled;
    }
    // A raw separator may be part of the secret: only what is followed by another parameter, or
    // by nothing, ends it.
    let end = rest.char_indices().find(|(index, c)| {
        let next = &rest[index + c.len_utf8()..];
        match c {
            '&' | ';' => next.is_empty() || begins_parameter(next),
            ',' => in_parentheses && (begins_parameter(next) || begins_url(next)),
            ')' => in_parentheses,
            _ => false,
        }
    });
    start..start + end.map_or(rest.len(), |(index, _)| index)
}

/// Whether a text begins like `name=`.
fn begins_parameter(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| is_name_character(c) || c == ' ')
    })
}

fn begins_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}
