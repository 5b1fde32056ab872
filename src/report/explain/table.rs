//! Columns that line up, coloured or not.

use anstyle::{AnsiColor, Style};

use crate::report::wrap::wrapped;

/// The columns of a terminal.
const WIDTH: usize = 80;

/// The least room for the last column beside the others.
const LEAST: usize = 30;

/// Where the last column begins below the others.
const BELOW: usize = 4;

/// How text is set off: with escape codes or not at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    /// Whether to write escape codes.
    pub(super) color: bool,
}

impl Paint {
    pub(super) fn heading(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    pub(super) fn name(self, text: &str) -> String {
        self.styled(AnsiColor::Cyan.on_default(), text)
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

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
    pub(super) fn draw(&self, paint: Paint) -> String {
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
                    (0, _) => paint.heading(cell),
                    (_, 0) => paint.name(cell),
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
                drawn.push_str(&if index == 0 { paint.heading(&text) } else { text });
                drawn.push('\n');
            }
        }
        drawn
    }
}
