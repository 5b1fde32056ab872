//! One file: its bytes to the documents in it and their problems.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::options::name_of;
use crate::diagnostic::{Chunk, Diagnostic, Excerpt, FileText, Mark, code, is_field, split};
use crate::name::ConnectionName;
use crate::yaml;

/// How many documents of a file may fail before the rest of it is left alone.
const MOST_PROBLEMS: usize = 100;

/// The content of a file.
#[derive(Debug, Default)]
pub(crate) struct ParsedFile {
    /// The documents that could be read, in order.
    pub(crate) documents: Vec<RawDocument>,
    /// The problems; the marks have no file name yet, since one content may have many.
    pub(crate) problems: Vec<Diagnostic>,
}

/// A document as it stands in its file.
#[derive(Debug)]
pub(crate) struct RawDocument {
    /// Its name, where it has one that can be used.
    pub(crate) name: Option<ConnectionName>,
    /// Its keys and values, `type`, `name` and `x-gitops` too.
    pub(crate) fields: Map<String, Value>,
    /// Its part of the file.
    pub(crate) chunk: Chunk,
    /// The line of its first key.
    pub(crate) line: u32,
}

impl ParsedFile {
    /// Reads the documents of a file.
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let mut parsed = Self::default();
        match FileText::decode(bytes) {
            Ok(text) => {
                let text = Arc::new(text);
                for chunk in split(&text) {
                    if parsed.problems.len() == MOST_PROBLEMS {
                        parsed.problems.push(too_many(&chunk));
                        break;
                    }
                    parsed.take(&text, chunk);
                }
            }
            Err(problem) => {
                let mut mark = Mark::whole_file();
                if let Some((line, column)) = problem.place {
                    mark = Mark { line, column, ..mark };
                }
                let diagnostic = Diagnostic::error(problem.code, problem.message, mark);
                parsed.problems.push(diagnostic.help(problem.help));
            }
        }
        parsed
    }

    /// A file that cannot be had.
    pub(crate) fn unreadable(reason: &str) -> Self {
        let message = format!("the file cannot be read: {reason}");
        let help =
            "commit it as a plain file; in a working tree, this user has to be able to read it";
        let problem = Diagnostic::error(&code::UNREADABLE_FILE, message, Mark::whole_file());
        Self { documents: Vec::new(), problems: vec![problem.help(help)] }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let documents: usize = self.documents.iter().map(|d| 6 * d.chunk.range.len() + 400).sum();
        128 + documents + self.problems.len() * 512
    }

    fn take(&mut self, file: &Arc<FileText>, chunk: Chunk) {
        match yaml::parse(file.slice(chunk.range.clone())) {
            Err(failure) => {
                let excerpt = Excerpt::broken(file, &chunk, is_field);
                self.problems.push(failure.diagnose(&excerpt));
            }
            Ok(Value::Null) => {}
            Ok(Value::Object(fields)) => {
                let line = chunk.content_line.unwrap_or(chunk.first_line);
                let name = name_of(&fields).map(ConnectionName::new);
                self.documents.push(RawDocument { name, fields, chunk, line });
            }
            Ok(other) => self.problems.push(not_a_mapping(&other, file, &chunk)),
        }
    }
}

fn too_many(rest: &Chunk) -> Diagnostic {
    let message = format!("{MOST_PROBLEMS} documents of the file failed; the rest was not read");
    let mark = Mark { line: rest.first_line, column: 1, ..Mark::whole_file() };
    Diagnostic::error(&code::TOO_MANY, message, mark)
        .help("mend those that are listed and run again")
}

fn not_a_mapping(value: &Value, file: &Arc<FileText>, chunk: &Chunk) -> Diagnostic {
    let kind = if value.is_array() { "a list" } else { "a single value" };
    // A value that stands alone has no key that would say whether it is a secret.
    let mark = Mark { text: String::new(), ..Excerpt::unmasked(file, chunk).first_line() };
    let message =
        format!("the document is {kind}, and a connection is declared as `key: value` pairs");
    Diagnostic::error(&code::NOT_A_MAPPING, message, mark)
        .help("begin with `type:` and `name:`; separate several connections by a line `---`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(String, u32, u32)> {
        let parsed = ParsedFile::parse(text.as_bytes().to_vec());
        parsed.problems.iter().map(|p| (p.code.to_owned(), p.mark.line, p.mark.column)).collect()
    }

    fn at(code: &str, line: u32, column: u32) -> Vec<(String, u32, u32)> {
        vec![(code.to_owned(), line, column)]
    }

    #[test]
    fn an_error_does_not_hide_the_next_document() {
        let parsed = ParsedFile::parse(
            b"a: [1\n---\n# c\nname: x\n---\n- list\n---\n\tb: c\n---\nname: y\n".to_vec(),
        );
        let lines: Vec<_> = parsed.documents.iter().map(|d| d.line).collect();
        assert_eq!(lines, [4, 10]);
        let codes: Vec<_> = parsed.problems.iter().map(|p| (p.code, p.mark.line)).collect();
        assert_eq!(codes, [("AG007", 1), ("AG101", 6), ("AG006", 8)]);
    }

    #[test]
    fn places_are_those_of_the_file() {
        assert_eq!(problems("a: 1\n---\nb: 1\nc: 2\nb: 3\n"), at("AG008", 5, 1));
        assert_eq!(problems("ä: {x: 1, ü: 2, x: 3}"), at("AG008", 1, 17));
        assert_eq!(problems("a: 1\n---\nx: y\nä: é: b"), at("AG005", 4, 5));
        assert_eq!(problems("a: 1\n---\nx: y\n1: b"), at("AG013", 4, 1));
        assert_eq!(problems("a: 1\n---\nx: [0, .inf]"), at("AG012", 3, 8));
        assert_eq!(problems("a: 1e400"), at("AG012", 1, 4));
        assert_eq!(problems("a: '1e400'\nb: 0.1"), []);
        assert_eq!(problems("a: !vault x"), at("AG011", 1, 4));
        assert_eq!(problems("a: *x"), at("AG014", 1, 4));
        assert_eq!(problems("a: \"x"), at("AG007", 1, 6));
        assert_eq!(problems("--- text"), at("AG101", 1, 1));
    }

    #[test]
    fn duplicates_name_both_places() {
        let parsed = ParsedFile::parse(b"a:\n  b: 1\n  c: 2\n  b: 3\n".to_vec());
        let problem = &parsed.problems[0];
        assert_eq!((problem.mark.line, problem.mark.column), (4, 3));
        assert_eq!(problem.related[0].0.line, 2);
    }

    #[test]
    fn empty_documents_bom_and_crlf_are_fine() {
        for text in ["", "---\n", "# only\n", "---\n---\n...\n", "~\n", "\u{feff}a: b\r\nc: d\r\n"]
        {
            assert_eq!(problems(text), [], "{text:?}");
        }
        let parsed = ParsedFile::parse("\u{feff}a: b\r\nc: 'd'\r\n".as_bytes().to_vec());
        assert_eq!(
            serde_json::json!(parsed.documents[0].fields),
            serde_json::json!({"a": "b", "c": "d"})
        );
    }
}
