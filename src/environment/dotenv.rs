//! Lines of `NAME=value`, as `--env-file` takes them.
//!
//! Programs that read such files differ in one thing that matters: what a `$` means. Some put the
//! value of a variable in its place, others take it as it is, and a secret may well hold one. So
//! it is refused wherever they differ, and half a password is never sent. A name that is given
//! twice is refused too: some programs take the first value and some the last.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Read;

/// One variable of a file.
pub(super) type Entry = (String, String);

/// Why a file cannot be read, without a word of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A line is not `NAME=value`.
    Syntax { line: usize },
    /// The value of a variable holds a `$` that is not in single quotes.
    Dollar { line: usize, name: String },
    /// A variable is given twice.
    Twice { first: usize, line: usize, name: String },
}

/// Reads a text to its end. The parser puts values in the place of `$name` and cannot be told not to,
/// so the text is read once more with another character for each `$`: what differs was put there.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(stand_in) = ('\u{e000}'..'\u{f8ff}').find(|c| !text.contains(*c)) else {
        return Err(Problem::Syntax { line: 1 });
    };
    // Blanks behind a value are none of it, but at the very end the parser takes them for a mistake.
    let text = &format!("{}\n", text.trim_end());
    // To the parser it joins two lines, to others it is the end of a password.
    let is_cut = |line: &str| {
        let escapes = line.len() - line.trim_end_matches('\\').len();
        escapes % 2 == 1 && !line.trim_start().starts_with('#')
    };
    if let Some(index) = text.lines().position(is_cut) {
        return Err(Problem::Syntax { line: index + 1 });
    }
    let as_written = without_dollars(text, stand_in);
    let lines_read = Cell::new(0);
    let mut as_read = dotenvy::Iter::new(text.as_bytes());
    let mut with_stand_ins =
        dotenvy::Iter::new(LineByLine { rest: &as_written, lines_read: &lines_read });
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut entries = Vec::new();
    loop {
        let line = first_line_after(lines_read.get(), text);
        let Some(entry) = with_stand_ins.next() else { return Ok(entries) };
        let (name, value) = entry.map_err(|_| Problem::Syntax { line })?;
        let value = value.replace(stand_in, "$");
        if !matches!(as_read.next(), Some(Ok((_, read))) if read == value) {
            return Err(Problem::Dollar { line, name });
        }
        if let Some(first) = lines.insert(name.clone(), line) {
            return Err(Problem::Twice { first, line, name });
        }
        entries.push((name, value));
    }
}

/// The line on which the next entry begins, counted from 1: blank lines and comments are none.
fn first_line_after(lines_read: usize, text: &str) -> usize {
    let is_entry = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    text.lines()
        .enumerate()
        .skip(lines_read)
        .find(|(_, line)| is_entry(line))
        .map_or(lines_read, |(index, _)| index)
        + 1
}

/// A text that is read one line at a time, so that the count of the lines says where the parser is.
struct LineByLine<'t> {
    rest: &'t str,
    lines_read: &'t Cell<usize>,
}

impl Read for LineByLine<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let line = self.rest.as_bytes().get(..end).unwrap_or_default();
        let mut length = line.len().min(buffer.len());
        while !self.rest.is_char_boundary(length) {
            length -= 1;
        }
        if let (Some(room), Some(line)) = (buffer.get_mut(..length), line.get(..length)) {
            room.copy_from_slice(line);
        }
        if length == end && self.rest.get(..length).is_some_and(|line| line.ends_with('\n')) {
            self.lines_read.set(self.lines_read.get() + 1);
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(length)
    }
}

/// The text with a stand-in for each `$` that no `\` escapes.
fn without_dollars(text: &str, stand_in: char) -> String {
    let mut is_escaped = false;
    let replaced = text.chars().map(|c| {
        let escapes = c == '\\' && !is_escaped;
        let shown = if c == '$' && !is_escaped { stand_in } else { c };
        is_escaped = escapes;
        shown
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_that_are_written() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("  export A=b", "b"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b # c $d", "b"),
            ("# c\n\nA=b#c\n", "b#c"),
            ("A=b=c", "b=c"),
            ("A=", ""),
            ("A= # c", ""),
            ("A='a $b \\n \"c\"'", "a $b \\n \"c\""),
            ("A='$a'\"b c\"d", "$ab cd"),
            ("A=\"a \\\"b\\\" \\$c\\n\"", "a \"b\" $c\n"),
            ("A=a\\ b\\$c\\\\", "a b$c\\"),
            ("# c\\\nA=b", "b"),
            ("A=\"a\nb\"", "a\nb"),
            ("A='a\nb' # c", "a\nb"),
            ("A=ü`id`", "ü`id`"),
        ] {
            assert_eq!(parse(text), Ok(vec![("A".to_owned(), value.to_owned())]), "{text}");
        }
        let two = parse("export=1\nB.c_2='x'").unwrap();
        assert_eq!(two, [("export".into(), "1".into()), ("B.c_2".into(), "x".into())]);
    }

    #[test]
    fn a_dollar_is_refused_where_programs_differ_about_it() {
        for value in ["pa$word", "$word", "pa$", "${A}", "a$$b", "\"a$b\"", "'a'$b", "$(id)"] {
            let text = format!("A='\n'\nPW={value}\n");
            assert_eq!(parse(&text), Err(Problem::Dollar { line: 3, name: "PW".into() }), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_with_both_lines() {
        let twice = |first, line| Err(Problem::Twice { first, line, name: "PW".into() });
        assert_eq!(parse("PW=old\nPW=new"), twice(1, 2));
        assert_eq!(parse("# c\nPW=old\n\nX='PW=1\nPW=2'\n# PW=c\n  export PW=old"), twice(2, 7));
        let long = "x".repeat(20_000);
        assert_eq!(parse(&format!("A={long}\nPW={long}\nPW=")), twice(2, 3));
    }

    #[test]
    fn a_line_without_an_assignment_is_refused_with_its_number() {
        for line in [
            "a",
            "=b",
            "1=b",
            "A b",
            "A=b c",
            "A='b",
            "A=\"b",
            "A='it\\'s'",
            "A=\\x",
            "A=b\\",
            "export",
            "A-B=c",
        ] {
            assert_eq!(parse(&format!("X=y\n{line}")), Err(Problem::Syntax { line: 2 }), "{line}");
        }
    }
}
