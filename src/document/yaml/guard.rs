//! A look at the text before libyaml gets it, for what would cost libyaml more than linear time.
//!
//! Measured: 20,000 nested `{a:` take seconds and a mebibyte of `[` takes minutes, since every
//! token walks the open brackets; 20,000 `%TAG` lines take as long. The other parser is linear
//! and gives up at 255 levels, but is slower on ordinary documents, so only texts with many
//! brackets pay for it.

use saphyr_parser::{Event, Parser};

use super::failure::{Cause, Failure};
use super::visitor::DEEPEST;

/// Fewer brackets than this cannot nest deep enough to hurt.
const MANY_BRACKETS: usize = 500;

/// Refuses what would take too long.
pub(super) fn check(chunk: &str) -> Result<(), Failure> {
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
                    Failure::syntax(offset)
                });
            }
        }
    }
    Ok(())
}
