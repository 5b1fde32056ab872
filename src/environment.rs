//! The environment that references are resolved in: variables, files named by `NAME_FILE`, and
//! `--env-file` with lines of `NAME=value`.
//!
//! Programs that read such files differ in one thing that matters: what a `$` means. Some put the
//! value of a variable in its place, others take it as it is, and a secret may well hold one. So
//! it is refused wherever they differ, and half a password is never sent. A name that is given
//! twice is refused too: some programs take the first value and some the last.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::secret::Sensitive;

/// Variables by name. `NAME_FILE` is read at every look-up, so that a mounted secret can rotate.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Sensitive>,
    /// The variables whose file was found to begin with a byte-order mark: told once.
    with_mark: Arc<Mutex<BTreeSet<String>>>,
}

/// Why a name has no value; the text never holds one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unset {
    /// Neither `NAME` nor `NAME_FILE` is set to anything.
    #[error("the environment has no {0} (nor {0}_FILE)")]
    Missing(String),
    /// `NAME_FILE` names a file that cannot be used.
    #[error("{name}_FILE names `{path}`, which {problem}")]
    File {
        /// The variable.
        name: String,
        /// The file.
        path: String,
        /// The problem with it.
        problem: String,
    },
}

/// The largest file that `NAME_FILE` or `--env-file` may name, in bytes: secrets, not a dump.
const LARGEST_FILE: u64 = 1024 * 1024;

impl Environment {
    /// Takes variables as they are, those of the process for example.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k, Sensitive::new(v))).collect();
        Self { variables, with_mark: Arc::default() }
    }

    /// Adds the variables of a dotenv file; those that are set already keep their value.
    ///
    /// # Errors
    /// The file cannot be read, has a line that is no assignment, or a value that could be meant
    /// otherwise than it is written. The text never holds a line of the file.
    pub fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display().to_string();
        // It need not be a regular file: shells give what a command writes as a pipe.
        let text = File::open(path)
            .and_then(read_bounded)
            .map_err(|error| format!("cannot read the env file {shown}: {error}"))?;
        for (name, value) in parse_env_file(&shown, &text)? {
            let unset = self.variables.get(&name).is_none_or(|v| v.expose().is_empty());
            if unset {
                self.variables.insert(name, Sensitive::new(value));
            }
        }
        Ok(())
    }

    /// The value of `NAME`, else the content of the file that `NAME_FILE` names less one
    /// trailing newline. An empty one counts as unset.
    ///
    /// # Errors
    /// There is no value, or the file cannot be read.
    pub fn lookup(&self, name: &str) -> Result<Sensitive, Unset> {
        if let Some(value) = self.set(name) {
            return Ok(value.clone());
        }
        let Some(path) = self.set(&format!("{name}_FILE")) else {
            return Err(Unset::Missing(name.to_owned()));
        };
        let file = || path.expose().to_owned();
        let (value, has_mark) = read_secret_file(Path::new(path.expose()))
            .map_err(|problem| Unset::File { name: name.to_owned(), path: file(), problem })?;
        if has_mark && self.with_mark.lock().insert(name.to_owned()) {
            let file = file();
            tracing::warn!(
                file,
                "the file that {name}_FILE names begins with a byte-order mark, which is ignored"
            );
        }
        Ok(value)
    }

    /// Whether any value is to be read from a file.
    pub(crate) fn names_files(&self) -> bool {
        self.variables.keys().any(|name| name.ends_with("_FILE"))
    }

    /// The plain text of a variable that is no secret: `STATE_DIRECTORY`, `NO_COLOR` and the like.
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.set(name).map(Sensitive::expose)
    }

    fn set(&self, name: &str) -> Option<&Sensitive> {
        self.variables.get(name).filter(|value| !value.expose().is_empty())
    }
}

/// The content of a file less one trailing newline and a byte-order mark at its head, which editors
/// of Windows write; and whether it had that mark.
fn read_secret_file(path: &Path) -> Result<(Sensitive, bool), String> {
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::FileTooLarge => "is larger than 1 MiB".to_owned(),
        ErrorKind::InvalidData => "is not UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Before it is opened: opening a pipe waits for a writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err("is no regular file".to_owned());
    }
    let text = File::open(path).and_then(read_bounded).map_err(unreadable)?;
    let without_mark = text.strip_prefix('\u{feff}');
    let value = without_mark.unwrap_or(&text);
    let value =
        value.strip_suffix('\n').map_or(value, |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok((Sensitive::new(value.to_owned()), without_mark.is_some()))
}

/// Reads a file whatever it says of its size, which for a device is nothing.
fn read_bounded(file: File) -> Result<String, io::Error> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads a text to its end. The parser puts values in the place of `$name` and cannot be told not to,
/// so the text is read once more with another character for each `$`: what differs was put there.
fn parse_env_file(path: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let syntax = |line| format!("line {line} of the env file {path} is not of the form NAME=value");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(stand_in) = ('\u{e000}'..'\u{f8ff}').find(|c| !text.contains(*c)) else {
        return Err(syntax(1));
    };
    // Blanks behind a value are none of it, but at the very end the parser takes them for a mistake.
    let text = &format!("{}\n", text.trim_end());
    // To the parser it joins two lines, to others it is the end of a password.
    let is_cut = |line: &str| {
        let escapes = line.len() - line.trim_end_matches('\\').len();
        escapes % 2 == 1 && !line.trim_start().starts_with('#')
    };
    if let Some(index) = text.lines().position(is_cut) {
        return Err(syntax(index + 1));
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
        let (name, value) = entry.map_err(|_| syntax(line))?;
        let value = value.replace(stand_in, "$");
        if !matches!(as_read.next(), Some(Ok((_, read))) if read == value) {
            return Err(format!(
                "the value of {name} on line {line} of the env file {path} holds a `$`, which stands \
                 for itself in single quotes only: write {name}='...', or `\\$` for each"
            ));
        }
        if let Some(first) = lines.insert(name.clone(), line) {
            return Err(format!(
                "the env file {path} gives {name} on line {first} and again on line {line}: remove \
                 one of the two"
            ));
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
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

    fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
        parse_env_file("f", text).map_err(|error| error.to_string())
    }

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
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with("the value of PW on line 3 "), "{text}: {error}");
            assert!(!error.contains("word"), "{error}");
        }
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_with_both_lines() {
        let twice = |first, line| {
            Err(format!(
                "the env file f gives PW on line {first} and again on line {line}: remove one of \
                 the two"
            ))
        };
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
            let error = parse(&format!("X=y\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2 of the env file f is not"), "{line}: {error}");
        }
    }
}
