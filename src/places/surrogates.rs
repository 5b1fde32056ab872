//! Pairs of surrogates, which JSON writes for a character beyond the first 65,536 (`"\ud83d\ude00"`).
//!
//! YAML knows no such pairs, and both parsers refuse them. Values are read from a text with
//! `\U0001f600` in their place, and places from one with escapes of the same length.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The length of a pair as JSON writes it, in characters and bytes.
const PAIR: usize = 12;

/// The text with an escape of the same length for each half of a pair; `None` where there are none.
pub(crate) fn with_stand_ins(text: &str) -> Option<String> {
    let mut stand_in = text.to_owned();
    for (at, _) in text.match_indices("\\u").filter(|(at, _)| pair_at(text, *at).is_some()) {
        stand_in.replace_range(at..at + PAIR, "\\u0041\\u0041");
    }
    (stand_in != text).then_some(stand_in)
}

/// The text with YAML's escapes for the pairs in its double-quoted texts; `stand_ins` is what
/// [`with_stand_ins`] makes of it.
pub(crate) fn with_characters(text: &str, stand_ins: &str) -> Option<String> {
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut rewritten = String::with_capacity(text.len());
    let mut done = 0;
    for event in Parser::new_from_str(stand_ins) {
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
            rewritten.push_str(text.get(done..at)?);
            rewritten.push_str(&format!("\\U{:08x}", u32::from(character)));
            at += PAIR;
            done = at;
        }
    }
    rewritten.push_str(text.get(done..)?);
    Some(rewritten)
}

/// The character of a pair of surrogates that begins at a byte.
fn pair_at(text: &str, at: usize) -> Option<char> {
    let pair = text.get(at..at + PAIR)?;
    let (high, low) = pair.strip_prefix("\\u")?.split_once("\\u")?;
    let unit = |digits: &str| u16::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4);
    char::decode_utf16([unit(high)?, unit(low)?]).next()?.ok().filter(|c| u32::from(*c) > 0xffff)
}
