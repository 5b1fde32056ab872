//! Finds the secrets to hide in a document that does not parse, by a scan of its lines.
//!
//! Nothing says there where a key ends and its value begins; a forgotten colon may be the very
//! mistake. So whatever follows a word that speaks of a secret is taken for one.

use super::words::{hides_secret, is_field, is_secret_key, only_references, says_secret};
use super::{LONGEST_LOOK, Masks};
use crate::diagnostic::{Chunk, FileText};
use crate::places::to_u32;

/// The longest key that is looked at as a whole: a line may be a mebibyte without a space, and
/// every colon in it asks.
const LONGEST_KEY: usize = 128;

/// A secret value that goes on over the lines that follow.
enum Running {
    /// Lines that are indented deeper than this belong to it; where it is written out, those that
    /// begin no entry do so too.
    Block { outer: usize, is_literal: bool },
    /// Everything up to this quote does.
    Quote(char),
    /// It has not started: the next line belongs to it, whatever its indentation, up to a line
    /// that begins with a field of the catalog. Deeper lines than this are a block.
    Awaited(Option<usize>),
}

/// Where a line speaks of a secret.
struct Place {
    /// The byte from which it may not be seen.
    from: usize,
    /// Whether that is the value, and not a word that may hold it.
    is_value: bool,
}

/// The start of a line that is too long to be looked at.
fn clipped(line: &str) -> &str {
    let mut end = LONGEST_LOOK;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or_default()
}

pub(super) fn hide(file: &FileText, chunk: &Chunk, masks: &mut Masks) {
    let last = file.place_of(chunk.range.end.saturating_sub(1)).0;
    let line_of = |number| match file.line(number) {
        long if long.len() > LONGEST_LOOK => clipped(long),
        line => line,
    };
    // `name: Authorization` makes a secret of the `value` beside it, which may stand before it.
    let value_is_secret = (chunk.first_line..=last).any(|number| names_a_secret(line_of(number)));
    let mut running: Option<Running> = None;
    for number in chunk.first_line..=last {
        let line = line_of(number);
        if line.len() < file.line(number).len() {
            masks.hide(number, 1..u32::MAX);
        }
        let indent = line.chars().take_while(|c| *c == ' ' || *c == '\t').count();
        running = going_on(running, line, indent);
        if let Some(held) = &running {
            let from = if matches!(held, Running::Quote(_)) { 0 } else { indent };
            masks.hide(number, to_u32(from + 1)..u32::MAX);
            if matches!(held, Running::Quote(quote) if line.contains(*quote)) {
                running = None;
            }
            continue;
        }
        let place = secret_place(line, value_is_secret);
        let before = place.as_ref().map_or(line.len(), |place| place.from);
        if hides_secret(line.get(..before).unwrap_or_default()) || has_user_info(line) {
            masks.hide(number, to_u32(indent + 1)..u32::MAX);
        }
        let Some(place) = place else {
            // `apiK` above `ey: ...`: a key that is torn apart says nothing of a secret any more.
            if !line.contains(':') && words(line).count() == 1 {
                running = Some(Running::Awaited(None));
            } else if let Some(from) = second_value(line) {
                masks.hide(number, from..u32::MAX);
            }
            continue;
        };
        let value = line.get(place.from..).unwrap_or_default();
        let is_literal = !place.is_value || !is_harmless(value);
        if is_literal {
            let column = line.get(..place.from).unwrap_or_default().chars().count();
            masks.hide(number, to_u32(column + 1)..u32::MAX);
        }
        // The keys of a list's entry are indented like its dash plus two.
        let outer = line.chars().take_while(|c| matches!(c, ' ' | '\t' | '-')).count();
        running = match value.chars().next() {
            Some(quote @ ('"' | '\'')) if value.matches(quote).count() == 1 => {
                Some(Running::Quote(quote))
            }
            _ if (place.is_value && is_whole(value)) || names_a_secret(line) => {
                Some(Running::Block { outer, is_literal })
            }
            _ => Some(Running::Awaited(Some(outer))),
        };
    }
}

/// The part of a secret value that goes on in this line.
fn going_on(running: Option<Running>, line: &str, indent: usize) -> Option<Running> {
    let is_blank = line.trim().is_empty();
    match running? {
        Running::Block { outer, is_literal } => {
            let goes_on = indent > outer || is_blank || (is_literal && first_key(line).is_none());
            goes_on.then_some(Running::Block { outer, is_literal })
        }
        Running::Awaited(Some(outer)) if indent > outer && !is_blank => {
            Some(Running::Block { outer, is_literal: true })
        }
        Running::Awaited(outer) => match first_key(line) {
            Some(key) if is_field(key) => None,
            _ => Some(Running::Awaited(outer.filter(|_| is_blank))),
        },
        quote @ Running::Quote(_) => Some(quote),
    }
}

/// The first place of a line that speaks of a secret.
fn secret_place(line: &str, value_is_secret: bool) -> Option<Place> {
    let words = words(line).find_map(|word| {
        let is_key = is_key_position(line.get(..word.start).unwrap_or_default());
        let text = line.get(word.clone()).unwrap_or_default();
        let speaks = says_secret(text)
            || (is_key && text.len() <= LONGEST_KEY && is_secret_key(text))
            || (value_is_secret && text == "value");
        if !speaks {
            return None;
        }
        let after = line.get(word.end..).unwrap_or_default();
        let is_apart = after.trim_start_matches([' ', '\t', '"', '\'']).starts_with([':', '=']);
        // `passwordS3cr3t`: the space is forgotten, too.
        if is_key && !is_apart && text != "value" && !is_field(text) {
            return Some(Place { from: word.start, is_value: false });
        }
        Some(value_behind(line, word.end))
    });
    // A key with a quote or a space in its midst is none of the words.
    let keys = line.match_indices([':', '=']).find_map(|(at, _)| {
        let key = last_key(line.get(..at).unwrap_or_default());
        (!key.is_empty() && is_secret_key(key)).then(|| value_behind(line, at))
    });
    words.into_iter().chain(keys).min_by_key(|place| place.from)
}

/// The place of the value behind a key that ends here.
fn value_behind(line: &str, key_end: usize) -> Place {
    let after = line.get(key_end..).unwrap_or_default();
    let ended = after.strip_prefix(['"', '\'']).unwrap_or(after).trim_start();
    let value = ended.strip_prefix([':', '=']).unwrap_or(ended).trim_start();
    Place { from: line.len() - value.len(), is_value: true }
}

/// The words of a text that stand outside references.
fn words(line: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = line.get(at..).filter(|rest| !rest.is_empty())?;
            if rest.starts_with("${")
                && let Some(end) = rest.find('}')
                && only_references(rest.get(..=end).unwrap_or_default())
            {
                at += end + 1;
                continue;
            }
            let belongs = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let length = match rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                true => rest.find(|c| !belongs(c)).unwrap_or(rest.len()),
                false => {
                    at += rest.chars().next().map_or(1, char::len_utf8);
                    continue;
                }
            };
            let word = at..at + length;
            at = word.end;
            return Some(word);
        }
    })
}

/// Whether a key can begin behind this text.
fn is_key_position(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t', '"', '\'']);
    before.is_empty() || before.ends_with(['{', '[', ',', '-', '?'])
}

/// The key that ends a text, with whatever is in it.
fn last_key(text: &str) -> &str {
    let mut from = text.len().saturating_sub(LONGEST_KEY);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let text = text.get(from..).unwrap_or_default();
    let text = text.rsplit(['{', ',', ';', '&', '?']).next().unwrap_or_default();
    let key = text.rsplit(": ").next().unwrap_or_default();
    key.trim_matches(|c: char| !c.is_alphanumeric())
}

/// The column of what follows a second colon, where the first key is none of the catalog's:
/// `pas: sword: ...`.
fn second_value(line: &str) -> Option<u32> {
    if first_key(line).is_some_and(is_field) {
        return None;
    }
    let (key, value) = line.split_once(": ").filter(|(_, value)| !value.starts_with(['{', '[']))?;
    let (second, _) = value.split_once(": ")?;
    Some(to_u32(key.chars().count() + second.chars().count() + 5))
}

/// `user:password@`, whatever became of the scheme before it.
fn has_user_info(line: &str) -> bool {
    line.match_indices('@').any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let word = before.rsplit([' ', '\t', '"', '\'']).next().unwrap_or_default();
        let user_info = word.rsplit("//").next().unwrap_or_default();
        user_info.split_once(':').is_some_and(|(_, word)| !word.is_empty() && !is_harmless(word))
    })
}

/// The key of the entry that a line begins, without its quotes.
fn first_key(line: &str) -> Option<&str> {
    let line = line.trim_start_matches([' ', '\t', '-', '{', ',', '"', '\'']);
    let (key, rest) = line.split_once(':')?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let key = key.trim_end().trim_end_matches(['"', '\'']);
    let is_entry = rest.is_empty() || rest.starts_with([' ', '\t', '"']);
    (is_entry && key.chars().all(is_word)).then_some(key)
}

/// Whether a value shows no secret: it is references, or nothing, and perhaps the end of the
/// lists and mappings that it stands in.
fn is_harmless(value: &str) -> bool {
    let mut rest = value.trim();
    loop {
        let bare = rest.trim_matches(['"', '\'']);
        if bare.chars().all(|c| "|>~-+{}[], ".contains(c))
            || matches!(bare, "null" | "Null" | "NULL")
            || only_references(bare)
        {
            return true;
        }
        let Some(shorter) = rest.strip_suffix(['}', ']', ',']) else { return false };
        rest = shorter.trim_end();
    }
}

/// Whether a value ends in its line, as far as one can tell: an indicator of a block, a tag or an
/// anchor is not all of it.
fn is_whole(value: &str) -> bool {
    let value = value.trim();
    !(value.is_empty()
        || value.starts_with(['|', '>'])
        || (value.starts_with('{') && !value.contains('}'))
        || (value.starts_with('[') && !value.contains(']'))
        || (value.starts_with(['!', '&']) && !value.contains(' '))
        || value.chars().all(|c| matches!(c, '{' | '[' | ',' | '"' | '\'' | ':' | '=' | '-')))
}

/// Whether the line names something whose `value` is a secret: `name: Authorization`.
fn names_a_secret(line: &str) -> bool {
    let mut is_name = false;
    words(line).any(|word| {
        let text = line.get(word).unwrap_or_default();
        let named = is_name && text.len() <= LONGEST_KEY && is_secret_key(text);
        is_name = matches!(text, "name" | "key");
        named
    })
}
