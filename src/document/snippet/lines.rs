//! What to hide in a document that does not parse: a scan of its lines.

use super::words::{hides_secret, is_secret_key, only_references};
use super::{LONGEST_LOOK, Masks};
use crate::document::split::Chunk;
use crate::document::text::{FileText, to_u32};

/// A secret value that goes on over the lines that follow.
enum Running {
    /// Lines that are indented deeper than this belong to it.
    Block(usize),
    /// Everything up to this quote does.
    Quote(char),
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
    let mut running: Option<Running> = None;
    let mut name_is_secret = false;
    for number in chunk.first_line..=last {
        let mut line = file.line(number);
        if line.len() > LONGEST_LOOK {
            masks.hide(number, 1..u32::MAX);
            line = clipped(line);
        }
        let indent = line.chars().take_while(|c| *c == ' ' || *c == '\t').count();
        match running {
            Some(Running::Quote(quote)) => {
                masks.hide(number, 1..u32::MAX);
                if line.contains(quote) {
                    running = None;
                }
                continue;
            }
            Some(Running::Block(outer)) if indent > outer || line.trim().is_empty() => {
                masks.hide(number, to_u32(indent + 1)..u32::MAX);
                continue;
            }
            _ => running = None,
        }
        let Some((column, value)) = secret_value(line, name_is_secret) else {
            if hides_secret(line) {
                masks.hide(number, to_u32(indent + 1)..u32::MAX);
            }
            if let Some((key, rest)) = line.split_once(':') {
                name_is_secret = names_a_secret(key_before(key), rest).unwrap_or(name_is_secret);
            }
            continue;
        };
        name_is_secret = false;
        let bare = value.trim().trim_matches(['"', '\'']);
        let nothing = matches!(bare, "null" | "~") || (bare.starts_with('#'));
        if !bare.is_empty() && !only_references(bare) && !nothing {
            masks.hide(number, column..u32::MAX);
        }
        running = Some(match value.trim_start().chars().next() {
            Some(quote @ ('"' | '\'')) if value.matches(quote).count() == 1 => {
                Running::Quote(quote)
            }
            // The keys of a list's entry are indented like its dash plus two.
            _ => Running::Block(key_indent(line)),
        });
    }
}

/// The column and the text of what follows the first secret key of a line.
fn secret_value(line: &str, mut value_is_secret: bool) -> Option<(u32, &str)> {
    for (at, _) in line.match_indices([':', '=']) {
        let before = line.get(..at).unwrap_or_default().trim_end();
        let key = key_before(before);
        let secret = is_secret_key(key) || (value_is_secret && key == "value");
        if secret {
            let value = line.get(at + 1..).unwrap_or_default();
            let space = value.len() - value.trim_start().len();
            let column = line.get(..at + 1 + space).unwrap_or_default().chars().count();
            return Some((to_u32(column + 1), value));
        }
        let rest = line.get(at..).unwrap_or_default();
        value_is_secret = names_a_secret(key, rest).unwrap_or(value_is_secret);
    }
    None
}

/// The key that ends a text, without its quotes.
fn key_before(text: &str) -> &str {
    // A line may be a mebibyte without a space, and every colon in it asks.
    const LONGEST_KEY: usize = 128;
    let mut from = text.len().saturating_sub(LONGEST_KEY);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let text = text.get(from..).unwrap_or_default().trim_end_matches(['"', '\'']);
    text.rsplit(|c: char| {
        c.is_whitespace() || matches!(c, '{' | ',' | '"' | '\'' | '?' | '&' | ';')
    })
    .next()
    .unwrap_or_default()
}

/// Whether `name: Authorization` makes the `value` that belongs to it a secret; nothing where
/// the key is another.
fn names_a_secret(key: &str, rest: &str) -> Option<bool> {
    if !matches!(key, "name" | "key") {
        return None;
    }
    let value = rest.trim_start_matches([':', ' ', '"', '\'']);
    let word = value.split([',', '}', '"', '\'', ' ']).next().unwrap_or_default();
    Some(is_secret_key(word))
}

fn key_indent(line: &str) -> usize {
    line.chars().take_while(|c| matches!(c, ' ' | '\t' | '-')).count()
}
