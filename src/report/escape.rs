//! Making foreign text harmless where it is shown.

use std::fmt::Write as _;

use crate::diagnostic::steers_text;

/// A text in which nothing can move a cursor, change a colour, or turn the direction of writing:
/// such characters are written as `\u{1b}`, line ends and tabs as `\n` and `\t`.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            harmful if steers_text(harmful) => {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(harmful));
            }
            harmless => shown.push(harmless),
        }
    }
    shown
}

/// The same of a text of several lines, which stay.
pub(crate) fn lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// A text as a code span of markdown, in which nothing has a meaning.
pub(super) fn code_span(text: &str) -> String {
    let text = clipped(&plain(text));
    let longest = text.split(|character| character != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default() + 1);
    let touches = |end: Option<char>| end.is_none_or(|end| matches!(end, '`' | ' '));
    let pad = if touches(text.chars().next()) || touches(text.chars().last()) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A text inside HTML that markdown leaves alone, in the line of a `<summary>`.
pub(super) fn html(text: &str) -> String {
    let text = clipped(&plain(text));
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            letter if letter.is_alphanumeric() || " ./".contains(letter) => shown.push(letter),
            // Markdown has no say about an entity, whatever the character means to it.
            other => {
                let _ = write!(shown, "&#{};", u32::from(other));
            }
        }
    }
    shown
}

/// The longest text in a code span or a `<summary>`, in characters.
const LONGEST: usize = 300;

fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(
            plain("a\x1b[31mb\u{9b}c\u{202e}d\te\r\n"),
            "a\\u{1b}[31mb\\u{9b}c\\u{202e}d\\te\\r\\n"
        );
        assert_eq!(plain("Überweisung €"), "Überweisung €");
    }

    #[test]
    fn code_spans_hold_whatever_they_hold() {
        for (text, span) in [
            ("orders", "`orders`"),
            ("a`b", "``a`b``"),
            ("`a``", "``` `a`` ```"),
            ("", "`  `"),
            ("a\nb", "`a\\nb`"),
        ] {
            assert_eq!(code_span(text), span);
        }
        assert!(code_span(&"x".repeat(1000)).len() < 320);
    }

    #[test]
    fn html_has_no_markup_left() {
        assert_eq!(html("</details>@me"), "&#60;/details&#62;&#64;me");
        assert_eq!(html("prod 1.0"), "prod 1.0");
    }
}
