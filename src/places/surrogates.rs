//! Pairs of surrogates, which JSON writes for a character beyond the first 65,536 (`"\ud83d\ude00"`).
//!
//! YAML knows no such pairs, and both parsers refuse them. A text that is refused for one is read
//! again with `\U0001f600` in its place, and places are counted back.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// How many characters shorter the other escape is.
pub(crate) const SHORTER_BY: usize = 2;
/// The length of a pair as JSON writes it, in characters and bytes.
const PAIR: usize = 12;

/// A text with other escapes for its pairs.
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// The byte of each rewritten escape in `text`.
    at: Vec<usize>,
}

impl Rewritten {
    /// Rewrites the pairs in double-quoted texts; `None` where there are none.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut stand_in = text.to_owned();
        for (at, _) in text.match_indices("\\u").filter(|(at, _)| pair_at(text, *at).is_some()) {
            stand_in.replace_range(at..at + PAIR, "\\u0041\\u0041");
        }
        if stand_in == text {
            return None;
        }
        let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let mut rewritten = Self { text: String::with_capacity(text.len()), at: Vec::new() };
        let mut done = 0;
        for event in Parser::new_from_str(&stand_in) {
            // The text behind another mistake need not be read.
            let Ok((event, span)) = event else { break };
            let Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) = event else { continue };
            let end = offsets.get(span.end.index()).copied().unwrap_or(text.len());
            let mut at = *offsets.get(span.start.index())?;
            while let Some(found) = text.get(at..end)?.find('\\') {
                at += found;
                let Some(character) = pair_at(text, at) else {
                    // An escaped backslash begins no escape.
                    at += 1 + text.get(at + 1..)?.chars().next().map_or(0, char::len_utf8);
                    continue;
                };
                rewritten.text.push_str(text.get(done..at)?);
                rewritten.at.push(rewritten.text.len());
                rewritten.text.push_str(&format!("\\U{:08x}", u32::from(character)));
                at += PAIR;
                done = at;
            }
        }
        rewritten.text.push_str(text.get(done..)?);
        (!rewritten.at.is_empty()).then_some(rewritten)
    }

    /// The byte of the first text that a byte of the rewritten one stands for.
    pub(crate) fn offset_before(&self, offset: usize) -> usize {
        offset + SHORTER_BY * self.at.iter().filter(|at| **at < offset).count()
    }

    /// By how much columns of a line have to grow: the column of each rewritten escape, counted
    /// from 0, in the rewritten text.
    pub(crate) fn columns(&self) -> HashMap<usize, Vec<usize>> {
        let mut columns: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut line = 1;
        let mut begins = 0;
        let mut done = 0;
        for at in &self.at {
            for (end, _) in self.text.get(done..*at).unwrap_or_default().match_indices('\n') {
                line += 1;
                begins = done + end + 1;
            }
            done = *at;
            let column = self.text.get(begins..*at).unwrap_or_default().chars().count();
            columns.entry(line).or_default().push(column);
        }
        columns
    }
}

/// The character of a pair of surrogates that begins at a byte.
fn pair_at(text: &str, at: usize) -> Option<char> {
    let pair = text.get(at..at + PAIR)?;
    let (high, low) = pair.strip_prefix("\\u")?.split_once("\\u")?;
    let unit = |digits: &str| u16::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4);
    char::decode_utf16([unit(high)?, unit(low)?]).next()?.ok().filter(|c| u32::from(*c) > 0xffff)
}
