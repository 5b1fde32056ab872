//! Sentences in lines of a given width, broken between words.

use super::line;
use super::style::{Role, Style};

/// The least width that a sentence is broken to.
const NARROWEST: usize = 20;

/// Breaks a text between words. What stands between two backticks is one word: a command is copied
/// whole.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines: Vec<String> = Vec::new();
    for word in words(text) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut is_code = false;
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|tail| tail.find([' ', '`'])).map(|at| from + at)
    {
        let (before, after) = rest.split_at(at);
        from = at + 1;
        if after.starts_with('`') {
            is_code = !is_code && after.get(1..).is_some_and(|tail| tail.contains('`'));
        } else if !is_code {
            words.push(before);
            rest = after.get(1..).unwrap_or_default();
            from = 0;
        }
    }
    words.push(rest);
    words
}

/// Writes a sentence: its first line from one column on, the others from another.
pub(super) fn sentence(
    out: &mut String,
    (first, others): (usize, usize),
    text: &str,
    role: Role,
    style: &Style,
) {
    let lines = wrapped(text, style.width.saturating_sub(first.max(others)));
    for (index, text) in lines.iter().enumerate() {
        let indent = if index == 0 { first } else { others };
        line(out, format!("{:indent$}{}", "", style.paint(role, text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stay_whole_and_words_too() {
        let text = "run `apinizer-gitops apply --allow-deletes`, or a `trailer of a commit";
        let lines =
            ["run", "`apinizer-gitops apply --allow-deletes`,", "or a `trailer of a", "commit"];
        assert_eq!(wrapped(text, 20), lines);
        assert_eq!(wrapped("", 20), [""]);
    }
}
