//! What a server says, made fit to be shown.

use crate::secret::{Redactor, SENSITIVE};

/// Longer texts are cut: a stack trace helps nobody in a status line.
const LONGEST: usize = 500;

/// Replaces secrets, control and direction characters in somebody else's text, and cuts it.
///
/// Secrets go first, since a cut or a replaced line break could leave half of one; and once more
/// at the end, since taking characters out can put one together.
pub(super) fn clean(redactor: &Redactor, text: &str) -> String {
    let line = one_line(&redactor.redact(text));
    // Not inside the marks: a secret may be as short as a letter of them.
    let parts: Vec<String> = line.split(SENSITIVE).map(|part| redactor.redact(part)).collect();
    let line = parts.join(SENSITIVE);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Makes one line of a text, without characters that are no text.
pub(super) fn one_line(text: &str) -> String {
    let visible: String =
        text.chars().map(|c| if c.is_control() || steers_text(c) { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Invisible characters with which a text can pretend to read otherwise on a terminal.
fn steers_text(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_clean_line() {
        let redactor = Redactor::default();
        assert_eq!(clean(&redactor, " bad\r\n\u{1b}[31mhost\u{202e} "), "bad [31mhost");
        let long = clean(&redactor, &"ü".repeat(LONGEST + 1));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with("ü…"));
    }

    #[test]
    fn no_half_of_a_secret_is_left() {
        let redactor = Redactor::default();
        redactor.learn("correct horse");
        redactor.learn("line\nbreak");
        let text = format!("{}correct horse", "x".repeat(LONGEST - 4));
        assert!(!clean(&redactor, &text).contains("corr"));
        assert!(!clean(&redactor, "got line\nbreak").contains("line"));
        assert_eq!(clean(&redactor, "got correct\n\nhorse"), "got (sensitive)");
        redactor.learn("t");
        assert_eq!(clean(&redactor, "got it"), "go(sensitive) i(sensitive)");
    }
}
