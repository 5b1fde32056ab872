//! Texts as scalars: plain where nobody can misread them, else quoted.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The lines of a text that can stand as a literal block, and the header of that block.
pub(crate) fn block(text: &str) -> Option<(&'static str, std::str::Split<'_, char>)> {
    let (header, body) = match text.strip_suffix('\n') {
        Some(body) => ("|", body),
        None => ("|-", text),
    };
    let is_many = text.contains('\n');
    // Leading blanks would need an indentation indicator, trailing blanks and line ends are not
    // seen, and a line of blanks only is read differently by different readers.
    let clean = |line: &str| !line.starts_with([' ', '\t']) || !line.trim().is_empty();
    let good = is_many
        && !body.is_empty()
        && !body.starts_with([' ', '\t', '\n'])
        && !body.ends_with('\n')
        && body.split('\n').all(|line| clean(line) && !line.ends_with([' ', '\t']))
        && body.chars().all(|c| c == '\n' || is_shown(c));
    good.then(|| (header, body.split('\n')))
}

/// A text on one line.
pub(crate) fn inline(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// Whether a text without quotes is that text for every reader of YAML 1.1 and 1.2.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts_well = first.is_alphanumeric() || matches!(first, '/' | '$' | '_' | '(' | '\\');
    starts_well
        && text.chars().all(is_shown)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_word_of_yaml(text)
        && !may_be_number(text)
}

fn is_word_of_yaml(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Numbers, times and dates of either version, and more: quotes do no harm.
fn may_be_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_numeric()) && text.chars().all(|c| {
        c.is_numeric()
            || matches!(c, 'a'..='f' | 'A'..='F' | 'x' | 'X' | 'o' | 'O' | 'T' | 'Z' | 't' | 'z')
            || matches!(c, '_' | '.' | ':' | '+' | '-' | ',' | ' ')
    })
}

/// Whether a character is seen as itself: no control, no line separator, nothing that changes
/// the direction of text or has no width.
fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}')
}

/// A text in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_shown(c) => quoted.push(c),
            // Writing to a string cannot fail.
            c if u32::from(c) > 0xffff => {
                write!(quoted, "\\U{:08x}", u32::from(c)).unwrap_or_default();
            }
            c => write!(quoted, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_that_could_be_misread_is_quoted() {
        for plain in [
            "smtp.example.com",
            "${env:A}",
            "/var/log",
            "a b",
            "jdbc:x://h",
            "Ödeme",
            "v1.2",
            "it's",
        ] {
            assert_eq!(inline(plain), plain);
        }
        for text in [
            "",
            " a",
            "a ",
            "no",
            "Yes",
            "null",
            "~",
            "587",
            "017",
            "0x1F",
            "1e5",
            "12:30",
            ".5",
            "2026-01-01",
            "-1",
            "a: b",
            "a #b",
            "a:",
            "#a",
            "*a",
            "&a",
            "!a",
            "[a",
            "{a",
            "%a",
            "@a",
            "`a",
            "=",
            "<<",
            "? a",
            "- a",
            "a\tb",
            "a\u{202e}b",
            "10.0.0.1",
        ] {
            assert!(inline(text).starts_with('"'), "{text}");
        }
        assert_eq!(inline("a\"\\\n\u{0}\u{202e}"), r#""a\"\\\n\u0000\u202e""#);
    }
}
