//! Lines of `NAME=value`, as `--env-file` takes them.
//!
//! Programs that read such files differ in one thing that matters: what a `$` means. Some put the
//! value of a variable in its place, others take it as it is, and a secret may well hold one. So
//! it is refused wherever they differ, and nobody sends half a password.

use std::iter::Peekable;
use std::str::Chars;

/// One variable of a file.
pub(super) type Entry = (String, String);

/// Why a file cannot be read, without a word of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A line is not `NAME=value`.
    Syntax { line: usize },
    /// The value of a variable holds a `$` that is not in single quotes.
    Dollar { line: usize, name: String },
}

/// Reads a text to its end.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text.chars().peekable(), line: 1, begins: 1 };
    let mut entries = Vec::new();
    while let Some(entry) = reader.entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    line: usize,
    /// The line on which the entry begins.
    begins: usize,
}

impl Reader<'_> {
    fn entry(&mut self) -> Result<Option<Entry>, Problem> {
        loop {
            while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
                self.take();
            }
            self.begins = self.line;
            match self.rest.peek() {
                None => return Ok(None),
                Some('#') => self.skip_line(),
                Some(_) => break,
            }
        }
        let mut name = self.name()?;
        if name == "export" && self.rest.peek() != Some(&'=') {
            name = self.name()?;
        }
        if self.take() != Some('=') {
            return Err(self.syntax());
        }
        self.skip_blanks();
        let value = self.value(&name)?;
        Ok(Some((name, value)))
    }

    /// A name and the blanks behind it.
    fn name(&mut self) -> Result<String, Problem> {
        let mut name = String::new();
        while let Some(c) = self.rest.peek().copied() {
            let inside = c.is_ascii_digit() || c == '.';
            if !(c.is_ascii_alphabetic() || c == '_' || (inside && !name.is_empty())) {
                break;
            }
            name.push(c);
            self.take();
        }
        self.skip_blanks();
        if name.is_empty() { Err(self.syntax()) } else { Ok(name) }
    }

    fn value(&mut self, name: &str) -> Result<String, Problem> {
        let mut value = String::new();
        if self.rest.peek() == Some(&'#') {
            self.skip_line();
            return Ok(value);
        }
        loop {
            match self.take() {
                None | Some('\n') => return Ok(value),
                Some('\r') if matches!(self.rest.peek(), None | Some('\n')) => {}
                Some(' ' | '\t') => {
                    self.end()?;
                    return Ok(value);
                }
                Some('\'') => self.single_quoted(&mut value)?,
                Some('"') => self.double_quoted(name, &mut value)?,
                Some('\\') => value.push(self.escaped()?),
                Some('$') => return Err(self.dollar(name)),
                Some(c) => value.push(c),
            }
        }
    }

    /// What may follow a value on its line: blanks and a comment.
    fn end(&mut self) -> Result<(), Problem> {
        self.skip_blanks();
        match self.rest.peek() {
            None => Ok(()),
            Some('#' | '\r' | '\n') => {
                self.skip_line();
                Ok(())
            }
            Some(_) => Err(self.syntax()),
        }
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), Problem> {
        loop {
            match self.take() {
                None => return Err(self.syntax()),
                Some('\'') => return Ok(()),
                // It looks like an escape, and here is none.
                Some('\\') if self.rest.peek() == Some(&'\'') => return Err(self.syntax()),
                Some(c) => value.push(c),
            }
        }
    }

    fn double_quoted(&mut self, name: &str, value: &mut String) -> Result<(), Problem> {
        loop {
            match self.take() {
                None => return Err(self.syntax()),
                Some('"') => return Ok(()),
                Some('\\') => value.push(self.escaped()?),
                Some('$') => return Err(self.dollar(name)),
                Some(c) => value.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Problem> {
        match self.take() {
            Some(c @ ('\\' | '\'' | '"' | '$' | ' ')) => Ok(c),
            Some('n') => Ok('\n'),
            _ => Err(self.syntax()),
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.rest.peek(), Some(' ' | '\t')) {
            self.take();
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.take(), None | Some('\n')) {}
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn syntax(&self) -> Problem {
        Problem::Syntax { line: self.begins }
    }

    fn dollar(&self, name: &str) -> Problem {
        Problem::Dollar { line: self.begins, name: name.to_owned() }
    }
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
    fn what_is_no_assignment_is_refused_with_its_line() {
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
