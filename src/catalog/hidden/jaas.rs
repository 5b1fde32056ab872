//! Secrets inside a JAAS configuration, as Kafka's `sasl.jaas.config` holds one.

use super::name::says_secret;
use super::url::{Found, is_boolean, name_before};

/// The values of all options in a skeleton whose names say that they are secrets:
/// `...LoginModule required username="a" password="b";`.
pub(super) fn options(skeleton: &str, found: &mut Vec<Found>) {
    let mut done = 0;
    for (equals, _) in skeleton.match_indices('=') {
        if equals < done {
            continue;
        }
        let Some(name) = name_before(skeleton, equals) else { continue };
        if !says_secret(&name) {
            continue;
        }
        let after = &skeleton[equals + 1..];
        let blanks = after.len() - after.trim_start().len();
        let start = equals + 1 + blanks;
        let value = &skeleton[start..];
        let range = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => start + 1..start + 1 + quoted_length(&value[1..], quote),
            _ => start..start + value.find([' ', '\t', '\n', '\r', ';']).unwrap_or(value.len()),
        };
        done = range.end;
        let value = &skeleton[range.clone()];
        if !value.is_empty() && !is_boolean(value) {
            found.push((range, name));
        }
    }
}

/// How long a quoted value is. A quote ends it only where another option, the end of the entry
/// or nothing follows: a quote that somebody forgot to escape does not show the rest.
fn quoted_length(value: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in value.char_indices() {
        let ends = value[index + c.len_utf8()..]
            .chars()
            .next()
            .is_none_or(|next| next == ';' || next.is_whitespace());
        if c == quote && !escaped && ends {
            return index;
        }
        escaped = c == '\\' && !escaped;
    }
    value.len()
}
