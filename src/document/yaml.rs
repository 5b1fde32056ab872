//! One YAML document to a JSON value, within bounds.
//!
//! Values are taken by `serde_yaml` through a visitor of our own: it finds duplicate keys, keys
//! that are no texts, tags and numbers that would change, counts what aliases expand to before
//! memory is spent on it, and merges `<<`. The value is built directly rather than through
//! `serde_yaml::Value`, whose `apply_merge` leaves the merge keys of merged mappings in place.

mod failure;
mod guard;
mod surrogates;
mod visitor;

use serde::de::DeserializeSeed;
use serde_json::Value;

use visitor::{Budget, Node};

pub(crate) use failure::{Cause, Failure};
pub(crate) use surrogates::{Rewritten, SHORTER_BY};

/// The largest document, in bytes of its text.
pub(crate) const LARGEST_DOCUMENT: usize = 1024 * 1024;

/// A document that was read.
pub(crate) struct Parsed {
    pub(crate) value: Value,
    /// It holds numbers of which only the text can say whether they were kept exactly.
    pub(crate) has_floats: bool,
}

/// Reads one document.
pub(crate) fn parse(chunk: &str) -> Result<Parsed, Failure> {
    if chunk.len() > LARGEST_DOCUMENT {
        return Err(Failure::at_root(Cause::TooLarge(chunk.len())));
    }
    match read(chunk) {
        Err(failure) if matches!(failure.cause, Cause::Syntax(_)) => {
            let Some(rewritten) = Rewritten::of(chunk) else { return Err(failure) };
            read(&rewritten.text).map_err(|mut failure| {
                failure.offset = failure.offset.map(|offset| rewritten.offset_before(offset));
                failure
            })
        }
        parsed => parsed,
    }
}

fn read(chunk: &str) -> Result<Parsed, Failure> {
    guard::check(chunk)?;
    let budget = Budget::default();
    match Node::root(&budget).deserialize(serde_yaml::Deserializer::from_str(chunk)) {
        Ok(value) => Ok(Parsed { value, has_floats: budget.has_floats() }),
        Err(error) => Err(budget.failure().unwrap_or_else(|| Failure::from_yaml(&error, chunk))),
    }
}

/// Whether a plain scalar is a number that a 64-bit float does not give back.
pub(crate) fn loses_precision(plain: &str) -> bool {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    if !unsigned.bytes().any(|b| b.is_ascii_digit())
        || !unsigned.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return false;
    }
    let is_float = unsigned.contains(['.', 'e', 'E']);
    match unsigned.parse::<f64>() {
        Err(_) => false,
        Ok(number) if !number.is_finite() => true,
        Ok(number) => is_float && decimal(unsigned) != decimal(&format!("{number:e}")),
    }
}

/// The significant digits of a decimal number and the power of ten of its last one.
fn decimal(number: &str) -> (String, i64) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return (String::new(), 0);
    }
    let dropped = digits.len() - significant.len();
    let shift = i64::try_from(dropped).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
    (significant.to_owned(), exponent.parse::<i64>().unwrap_or(i64::MAX).saturating_add(shift))
}

#[cfg(test)]
mod tests;
