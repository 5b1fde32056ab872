//! Marks in source lines that never show a secret.
//!
//! A document that parses is masked by its tree: the value of every key that says secret, and
//! whatever an alias brings there. One that does not parse is masked line by line, by rules that
//! rather hide too much. References are shown, since they are what belongs there.

mod lines;
mod tree;
mod words;

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Chunk, FileText, Mark};
use crate::places::{Places, Span, to_u32};
use crate::secret::SENSITIVE;

pub(crate) use words::{hides_secret, is_secret_in_key, is_secret_key, only_references};

/// The longest line that is shown whole, in characters.
const LONGEST_LINE: usize = 400;

/// The longest text that is searched for secrets, in bytes; a longer one is hidden unseen.
const LONGEST_LOOK: usize = 4096;

/// The columns to hide, by line; columns count from 1, and `u32::MAX` is the end of the line.
#[derive(Debug, Default)]
pub(crate) struct Masks(BTreeMap<u32, Vec<Range<u32>>>);

impl Masks {
    /// Finds the secrets to hide in a document that parses.
    pub(crate) fn of(file: &FileText, chunk: &Chunk, places: Option<&Places>) -> Self {
        match places {
            None => Self::of_broken(file, chunk, None),
            Some(places) => {
                let mut masks = Self::default();
                tree::hide(places, &mut masks);
                masks
            }
        }
    }

    /// Finds the secrets to hide in a document that does not parse: where one of the two parsers
    /// makes sense of it, it may be another sense than the author's.
    pub(crate) fn of_broken(file: &FileText, chunk: &Chunk, places: Option<&Places>) -> Self {
        let mut masks = Self::default();
        lines::hide(file, chunk, &mut masks);
        if let Some(places) = places {
            tree::hide(places, &mut masks);
        }
        masks
    }

    /// Hides a value wherever it stands.
    pub(crate) fn hide_span(&mut self, span: Span) {
        // A block scalar ends at the beginning of the line after it.
        for line in span.line..=span.end_line {
            let from = if line == span.line { span.column } else { 1 };
            let to = if line == span.end_line { span.end_column } else { u32::MAX };
            if from < to {
                self.hide(line, from..to);
            }
        }
    }

    fn hide(&mut self, line: u32, columns: Range<u32>) {
        self.0.entry(line).or_default().push(columns);
    }

    /// A line with what is secret replaced. What stands before `keep` keeps its column, so that
    /// carets fit below it.
    fn apply(&self, number: u32, line: &str, keep: u32) -> String {
        let Some(hidden) = self.0.get(&number) else { return line.to_owned() };
        let mut hidden = hidden.clone();
        hidden.sort_by_key(|range| (range.start, range.end));
        let characters: Vec<char> = line.chars().collect();
        let mut shown = String::new();
        let mut at = 0;
        for range in hidden {
            let start = (range.start as usize).saturating_sub(1).clamp(at, characters.len());
            let end = (range.end as usize).saturating_sub(1).clamp(start, characters.len());
            if end == start {
                continue;
            }
            shown.extend(characters.get(at..start).unwrap_or_default());
            if range.end <= keep {
                let width = end - start;
                let mask = if width < SENSITIVE.len() { "***********" } else { SENSITIVE };
                shown.push_str(&format!("{:<width$}", mask.get(..width).unwrap_or(mask)));
            } else {
                shown.push_str(SENSITIVE);
            }
            at = end;
        }
        shown.extend(characters.get(at..).unwrap_or_default());
        shown
    }

    /// The mark of a span, in a file that is named later. What is hidden is marked as it is
    /// shown, so that its length stays untold, too.
    pub(crate) fn mark(&self, file: &FileText, span: Span) -> Mark {
        let line = file.line(span.line);
        let width = to_u32(line.chars().count());
        let hidden = self
            .0
            .get(&span.line)
            .into_iter()
            .flatten()
            .filter(|range| range.contains(&span.column))
            .min_by_key(|range| range.start);
        let (column, end) = match hidden {
            Some(range) => (range.start, range.start.saturating_add(to_u32(SENSITIVE.len()))),
            None if span.end_line > span.line => (span.column, width.saturating_add(1)),
            None => (span.column, span.end_column),
        };
        let mut text = self.apply(span.line, line, column);
        if let Some((cut, _)) = text.char_indices().nth(LONGEST_LINE) {
            text.truncate(cut);
            text.push('…');
        }
        let length = end.saturating_sub(column).max(1);
        Mark { file: String::new(), line: span.line, column, length, text }
    }
}

#[cfg(test)]
mod tests;
