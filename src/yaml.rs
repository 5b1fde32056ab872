//! One YAML document to a JSON value, within bounds.
//!
//! Values are taken by `serde_yaml` through a visitor of our own: it finds duplicate keys, keys
//! that are no texts, tags and numbers that would change, counts what aliases expand to before
//! memory is spent on it, and merges `<<`. The value is built directly rather than through
//! `serde_yaml::Value`, whose `apply_merge` leaves the merge keys of merged mappings in place.

mod failure;
mod visitor;

use saphyr_parser::{Event, Parser};
use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::places::{Places, with_characters, with_stand_ins};
use visitor::{Budget, DEEPEST, Node};

pub(crate) use failure::{Cause, Failure};

/// The largest document, in bytes of its text.
pub(crate) const LARGEST_DOCUMENT: usize = 1024 * 1024;

/// Fewer brackets than this cannot nest deep enough to hurt.
const MANY_BRACKETS: usize = 500;

/// Reads one document.
pub(crate) fn parse(chunk: &str) -> Result<Value, Failure> {
    if chunk.len() > LARGEST_DOCUMENT {
        return Err(Failure::at_root(Cause::TooLarge(chunk.len())));
    }
    let failure = match read(chunk) {
        Err(failure) if matches!(failure.cause, Cause::Syntax(_)) => failure,
        parsed => return parsed,
    };
    let Some(stand_ins) = with_stand_ins(chunk) else { return Err(failure) };
    let Some(rewritten) = with_characters(chunk, &stand_ins) else { return Err(failure) };
    read(&rewritten).map_err(|failure| match read(&stand_ins) {
        // Its places are those of the document.
        Err(Failure { offset, begins, .. }) => Failure { offset, begins, ..failure },
        Ok(_) => failure,
    })
}

fn read(chunk: &str) -> Result<Value, Failure> {
    guard(chunk)?;
    let budget = Budget::default();
    let value = Node::root(&budget).deserialize(serde_yaml::Deserializer::from_str(chunk));
    let value =
        value.map_err(|e| budget.failure().unwrap_or_else(|| Failure::from_yaml(&e, chunk)))?;
    // Only the text of a number says whether it was kept exactly.
    let is_lossy =
        budget.has_floats() && Places::of(chunk, 1).is_some_and(|p| p.lossy_number().is_some());
    if is_lossy { Err(Failure::at_root(Cause::LossyNumber)) } else { Ok(value) }
}

/// Refuses what would cost libyaml more than linear time, before libyaml gets it.
///
/// Measured: 20,000 nested `{a:` take seconds and a mebibyte of `[` takes minutes, since every
/// token walks the open brackets; 20,000 `%TAG` lines take as long. The other parser is linear
/// and gives up at 255 levels, but is slower on ordinary documents, so only texts with many
/// brackets pay for it.
fn guard(chunk: &str) -> Result<(), Failure> {
    if chunk.starts_with("%TAG") || chunk.contains("\n%TAG") || chunk.contains("\r%TAG") {
        let offset = chunk.find("%TAG").unwrap_or(0);
        return Err(Failure::at_offset(Cause::Tag, offset));
    }
    let brackets = chunk.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    if brackets < MANY_BRACKETS {
        return Ok(());
    }
    let mut depth = 0_usize;
    let byte =
        |character: usize| chunk.char_indices().nth(character).map_or(chunk.len(), |(i, _)| i);
    for event in Parser::new_from_str(chunk) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), span)) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(Failure::at_offset(Cause::TooDeep, byte(span.start.index())));
                }
            }
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(error) => {
                let offset = byte(error.marker().index());
                return Err(if error.info().starts_with("recursion limit") {
                    Failure::at_offset(Cause::TooDeep, offset)
                } else {
                    Failure::at_offset(Cause::Syntax(String::new()), offset)
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
