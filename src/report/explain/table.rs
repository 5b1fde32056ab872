//! Columns that line up, coloured or not.

use anstyle::{AnsiColor, Style};

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

    /// Draws the rows, two blanks between columns; the last column is not padded.
    pub(super) fn draw(&self, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let mut drawn = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let is_last = column + 1 == row.len();
                let padding = if is_last { 0 } else { width + 2 - cell.chars().count() };
                let cell = match (index, column) {
                    (0, _) => paint.heading(cell),
                    (_, 0) => paint.name(cell),
                    _ => cell.clone(),
                };
                drawn.push_str(&cell);
                drawn.extend(std::iter::repeat_n(' ', padding));
            }
            drawn.push('\n');
        }
        drawn
    }
}
