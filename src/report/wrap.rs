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

/// Writes pieces beside a lead that ends at a column. A piece that has no room there begins a line of
/// its own, as does what of it is too long for that.
pub(super) fn pieces(
    out: &mut String,
    (lead, column): (&str, usize),
    indent: usize,
    pieces: &[(String, Role)],
    style: &Style,
) {
    let mut text = lead.to_owned();
    let mut used = column;
    for (number, (piece, role)) in pieces.iter().enumerate() {
        let gap = if number == 0 { 0 } else { 2 };
        if number > 0 && used + gap + piece.chars().count() > style.width {
            line(out, &text);
            (text, used) = (" ".repeat(indent), indent);
        } else {
            text.push_str(&" ".repeat(gap));
            used += gap;
        }
        for (part_number, part) in
            wrapped(piece, style.width.saturating_sub(used)).iter().enumerate()
        {
            if part_number > 0 {
                line(out, &text);
                (text, used) = (" ".repeat(indent), indent);
            }
            text.push_str(&style.paint(*role, part));
            used += part.chars().count();
        }
    }
    line(out, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_without_room_begin_lines_of_their_own() {
        let style = Style { width: 40, ..Style::default() };
        let drawn = |name: &str, place: &str| {
            let mut out = String::new();
            let told = [(name.to_owned(), Role::Plain), (place.to_owned(), Role::Aside)];
            pieces(&mut out, ("  + email  ", 11), 6, &told, &style);
            out
        };
        assert_eq!(drawn("mails", "c/a.yaml:1"), "  + email  mails  c/a.yaml:1\n");
        assert_eq!(
            drawn("a name of words that is far too long", "connections/a.yaml:1"),
            "  + email  a name of words that is far\n      too long  connections/a.yaml:1\n"
        );
        assert_eq!(
            drawn("mails of a shop", "connections/a.yaml:1"),
            "  + email  mails of a shop\n      connections/a.yaml:1\n"
        );
    }

    #[test]
    fn commands_stay_whole_and_words_too() {
        let text = "run `apinizer-gitops apply --allow-deletes`, or a `trailer of a commit";
        let lines =
            ["run", "`apinizer-gitops apply --allow-deletes`,", "or a `trailer of a", "commit"];
        assert_eq!(wrapped(text, 20), lines);
        assert_eq!(wrapped("", 20), [""]);
    }
}
