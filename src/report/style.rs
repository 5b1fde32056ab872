//! How text is shown: with colour or without, how wide, how much.

use std::fmt::Display;

use anstyle::{AnsiColor, Style as Paint};

use crate::report::line;

/// How a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are used; the symbols carry the meaning without them.
    pub color: bool,
    /// How many columns there are.
    pub width: usize,
    /// Whether it is drawn on a terminal, which breaks lines that are longer; elsewhere a value stays
    /// in one line, to be searched for.
    pub is_terminal: bool,
    /// Whether the live connections that git neither declares nor owns are listed.
    pub list_unmanaged: bool,
    /// Whether each name below a reason is shown, and each target that is in sync.
    pub verbose: bool,
    /// Whether each change is one line, without its differences.
    pub summary: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: false,
            width: 80,
            is_terminal: false,
            list_unmanaged: false,
            verbose: false,
            summary: false,
        }
    }
}

/// The meaning of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing in particular: no colour.
    Plain,
    /// An addition.
    Added,
    /// A removal.
    Removed,
    /// A change.
    Changed,
    /// A rename.
    Renamed,
    /// A removal and an addition in its place.
    Replaced,
    /// An error.
    Wrong,
    /// A warning.
    Attention,
    /// A detail that can be skipped.
    Aside,
    /// A heading.
    Heading,
    /// The name of what is explained.
    Name,
    /// The margin of a source line, and a place beside the one that is wrong.
    Margin,
}

impl Style {
    /// A text in the colour of its role.
    pub(crate) fn paint(&self, role: Role, text: impl Display) -> String {
        if !self.color {
            return text.to_string();
        }
        let paint = match role {
            Role::Added => AnsiColor::Green.on_default(),
            Role::Removed => AnsiColor::Red.on_default(),
            Role::Changed | Role::Attention => AnsiColor::Yellow.on_default(),
            Role::Renamed | Role::Name => AnsiColor::Cyan.on_default(),
            Role::Replaced => AnsiColor::Magenta.on_default(),
            Role::Wrong => AnsiColor::Red.on_default().bold(),
            Role::Plain => Paint::new(),
            Role::Aside => Paint::new().dimmed(),
            Role::Heading => Paint::new().bold(),
            Role::Margin => AnsiColor::Blue.on_default().bold(),
        };
        format!("{paint}{text}{paint:#}")
    }
}

// Sentences in lines of a given width, broken between words.

/// The least width that a sentence is broken to.
const NARROWEST: usize = 20;

/// Breaks a text between words. What stands between two backticks is one word: a command is copied
/// whole.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines: Vec<String> = Vec::new();
    for word in split_at_blanks(text) {
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

fn split_at_blanks(text: &str) -> Vec<&str> {
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

// Columns that line up, coloured or not.

/// How wide tables and the texts of `explain` are, whatever the terminal.
pub(super) const WIDTH: usize = 80;

/// The least room for the last column beside the others.
const LEAST: usize = 30;

/// Where the last column begins below the others.
const BELOW: usize = 4;

/// Rows of cells under a heading; the first column names things.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Draws the rows, two blanks between columns. The last column is broken between words, and
    /// stands below the others where little room is left beside them.
    pub(super) fn draw(&self, style: &Style) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        let is_below = before + widths.last().unwrap_or(&0) > WIDTH && before + LEAST > WIDTH;
        let indent = if is_below { BELOW } else { before };
        let mut drawn = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let Some((last, cells)) = row.split_last() else { continue };
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let padding = width + 2 - cell.chars().count();
                let cell = match (index, column) {
                    (0, _) => style.paint(Role::Heading, cell),
                    (_, 0) => style.paint(Role::Name, cell),
                    _ => cell.clone(),
                };
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            if is_below {
                drawn.push_str(line.trim_end());
                line = format!("\n{:indent$}", "");
            }
            for (number, text) in wrapped(last, WIDTH - indent).into_iter().enumerate() {
                if number > 0 {
                    line = format!("{:indent$}", "");
                }
                drawn.push_str(&line);
                drawn.push_str(&if index == 0 { style.paint(Role::Heading, &text) } else { text });
                drawn.push('\n');
            }
        }
        drawn
    }
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
