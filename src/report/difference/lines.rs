//! Line differences inside long texts, with the part of a line that changed.

use std::time::Duration;

use similar::{ChangeTag, InlineChangeMode, InlineChangeOptions, TextDiff};

use super::LONGEST_BESIDE;
use crate::report::escape;

/// How many equal lines are shown around a change.
const CONTEXT: usize = 3;

/// How long the search for the smallest difference may take; then a larger one is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// The largest texts, in bytes, of whose lines the changed parts are told: finding them takes
/// long in long lines.
const LARGEST_WITH_PARTS: usize = 16 * 1024;

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The change of it.
    pub(crate) sign: LineSign,
    /// Its pieces, each with whether it is the part that changed.
    pub(crate) pieces: Vec<(bool, String)>,
}

/// The change of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineSign {
    /// It stayed.
    Same,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// No line of the text: which lines follow.
    Place,
}

impl LineSign {
    /// The sign in column 0.
    pub(crate) fn as_char(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Added => '+',
            Self::Removed => '-',
            Self::Place => '@',
        }
    }
}

/// Whether a text gets lines of its own.
pub(super) fn is_long(text: &str) -> bool {
    text.contains('\n') || text.chars().count() > LONGEST_BESIDE
}

/// The lines in which two texts differ, with three equal ones around each change.
pub(super) fn between(before: &str, after: &str) -> Vec<Line> {
    let parts_are_told = before.len() + after.len() <= LARGEST_WITH_PARTS;
    let (before, after) = without_the_end_of_both(before, after);
    let (before, after) = (split(before), split(after));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&before, &after);
    let groups = diff.grouped_ops(CONTEXT);
    let mut lines = Vec::new();
    for group in &groups {
        let first = group.first().map_or(0, |op| op.new_range().start);
        if first > 0 || groups.len() > 1 {
            let place = format!("@@ line {} @@", first + 1);
            lines.push(Line { sign: LineSign::Place, pieces: vec![(false, place)] });
        }
        for op in group {
            if parts_are_told {
                lines.extend(diff.iter_inline_changes_with_options(op, by_characters()).map(
                    |change| {
                        Line {
                            sign: sign_of(change.tag()),
                            pieces: change
                                .iter_strings_lossy()
                                .map(|(changed, piece)| (changed, escape::plain(&piece)))
                                .collect(),
                        }
                    },
                ));
            } else {
                lines.extend(diff.iter_changes(op).map(|change| Line {
                    sign: sign_of(change.tag()),
                    pieces: vec![(false, escape::plain(change.value()))],
                }));
            }
        }
    }
    lines
}

/// The texts without the line end that both end with: what follows it is no line.
fn without_the_end_of_both<'t>(before: &'t str, after: &'t str) -> (&'t str, &'t str) {
    let stripped = before.strip_suffix('\n').zip(after.strip_suffix('\n'));
    stripped
        .filter(|(before, after)| !before.is_empty() && !after.is_empty())
        .unwrap_or((before, after))
}

/// The lines of a text; a last one without an end differs from one with.
fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('\n').collect() }
}

/// Hosts, URLs and host lists are one word each: their changed part is a run of characters.
fn by_characters() -> InlineChangeOptions {
    let mut options = InlineChangeOptions::new();
    options.mode(InlineChangeMode::Chars).semantic_cleanup(true);
    options
}

fn sign_of(tag: ChangeTag) -> LineSign {
    match tag {
        ChangeTag::Equal => LineSign::Same,
        ChangeTag::Insert => LineSign::Added,
        ChangeTag::Delete => LineSign::Removed,
    }
}
