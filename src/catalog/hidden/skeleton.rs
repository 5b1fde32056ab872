//! A text with the same length whose references cannot be mistaken for structure.

use crate::reference::{self, Segment};
use crate::secret::SENSITIVE;

/// Stands for each byte of a reference or of what masking has put in a secret's place.
pub(super) const FILLER: u8 = 1;

/// The longest reference that is known as one, in bytes.
const LONGEST: usize = 512;

/// The text with every reference and every `(sensitive)` filled with [`FILLER`], so that the `:`
/// of `${env:NAME}` separates nothing. Byte offsets are those of the text.
pub(super) fn skeleton(text: &str) -> String {
    if !text.contains("${") && !text.contains(SENSITIVE) {
        return text.to_owned();
    }
    let mut filled = text.as_bytes().to_vec();
    let mut fill = |from: usize, to: usize| {
        if let Some(range) = filled.get_mut(from..to) {
            range.fill(FILLER);
        }
    };
    for (at, _) in text.match_indices(SENSITIVE) {
        fill(at, at + SENSITIVE.len());
    }
    for (at, _) in text.match_indices("${") {
        if text[..at].ends_with('$') {
            continue;
        }
        let bytes = text.as_bytes().get(at..).unwrap_or_default();
        let Some(end) = bytes.iter().take(LONGEST).position(|b| *b == b'}') else { continue };
        let length = end + 1;
        let one = reference::parse(&text[at..at + length]);
        if one.is_ok_and(|found| !matches!(found.as_slice(), [Segment::Text(_), ..] | [])) {
            fill(at, at + length);
        }
    }
    // Only whole ASCII runs were overwritten.
    String::from_utf8(filled).unwrap_or_else(|_| text.to_owned())
}
