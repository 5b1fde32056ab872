//! The text of one file: decoded once, addressed by line and column, and cut at its document
//! markers, so that a mistake in one document does not hide the next.
//!
//! Lines end where YAML 1.2 ends them (`\n`, `\r\n`, `\r`), so that the lines here are those of
//! the parser that tells places.

use std::ops::Range;

use super::code::{self, Code};
use super::{Diagnostic, Mark};
use crate::places::to_u32;

/// The largest file that is read, in bytes: a certificate fits a hundred times over.
pub(crate) const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// A file's content as text, without its byte-order mark.
#[derive(Debug)]
pub(crate) struct FileText {
    text: String,
    /// Where each line begins, in bytes.
    starts: Vec<usize>,
}

impl FileText {
    /// Decodes bytes; a byte-order mark is dropped.
    ///
    /// # Errors
    /// Why they are no text, in a file that is named later.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, Box<Diagnostic>> {
        if bytes.len() > LARGEST_FILE {
            let message = format!(
                "the file has {} bytes, and {LARGEST_FILE} (4 MiB) is the most that is read",
                bytes.len()
            );
            return Err(not_text(&code::FILE_TOO_LARGE, message, (0, 0)));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| not_utf8(&error))?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let file = Self { starts: line_starts(&text), text };
        match file.text.char_indices().find(|(_, c)| !is_allowed(*c)) {
            None => Ok(file),
            Some((at, c)) => {
                let message = if c == '\0' {
                    "the file holds a NUL character, so it is hardly a text file".to_owned()
                } else {
                    format!("the character U+{:04X} is not allowed in YAML", u32::from(c))
                };
                Err(not_text(&code::CONTROL_CHARACTER, message, file.place_of(at)))
            }
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The part between two byte offsets; empty where they do not fit the text.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// How many lines there are; a text without any has one, empty.
    pub(crate) fn line_count(&self) -> u32 {
        to_u32(self.starts.len())
    }

    /// The bytes of a line (counted from 1) without its end.
    pub(crate) fn line_range(&self, line: u32) -> Range<usize> {
        let index = (line as usize).saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        let next = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..next).unwrap_or_default();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }

    /// A line, counted from 1, without its end.
    pub(crate) fn line(&self, line: u32) -> &str {
        self.slice(self.line_range(line))
    }

    /// The line and column (in characters), counted from 1, of a byte offset.
    pub(crate) fn place_of(&self, offset: usize) -> (u32, u32) {
        let index = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(0);
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        (to_u32(index + 1), to_u32(self.slice(start..end).chars().count() + 1))
    }
}

/// The problem with bytes that are no text; line and column count from 1, and are 0 for the file as a
/// whole.
fn not_text(code: &'static Code, message: String, (line, column): (u32, u32)) -> Box<Diagnostic> {
    let mark = Mark { line, column, ..Mark::whole_file() };
    Box::new(Diagnostic::error(code, message, mark))
}

fn not_utf8(error: &std::string::FromUtf8Error) -> Box<Diagnostic> {
    let bytes = error.as_bytes();
    let valid = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let lines = line_starts(&before);
    let column = before.get(lines.last().copied().unwrap_or(0)..).map_or(0, |l| l.chars().count());
    let looks_wide = matches!(bytes.get(..2), Some([0xff, 0xfe] | [0xfe, 0xff]));
    let message = if looks_wide {
        "the file is UTF-16, and only UTF-8 is read"
    } else {
        "the file is not UTF-8 from this place on"
    };
    let place = (to_u32(lines.len()), to_u32(column + 1));
    not_text(&code::NOT_UTF8, message.to_owned(), place)
}

fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (index, byte) in bytes.iter().enumerate() {
        let ends_line = match byte {
            b'\n' => true,
            b'\r' => bytes.get(index + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends_line {
            starts.push(index + 1);
        }
    }
    starts
}

/// The printable characters of YAML 1.2; a byte-order mark is allowed at the start only.
fn is_allowed(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// The text of one document within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its bytes, with the directives and comments before its `---`, up to the next marker.
    pub(crate) range: Range<usize>,
    /// The line on which it begins, counted from 1.
    pub(crate) first_line: u32,
    /// The line of its first content; `None`: it has none.
    pub(crate) content_line: Option<u32>,
}

/// Cuts a text at `---` and `...` in column 0, where YAML allows no content to stand.
pub(crate) fn split(file: &FileText) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open = Chunk { range: 0..0, first_line: 1, content_line: None };
    // A marker or a directive opens a document of its own; before the first one there is none.
    let mut has_marker = false;
    for line in 1..=file.line_count() {
        let content = file.line(line);
        let start = file.line_range(line).start;
        match marker(content) {
            Some(Marker::Start(rest)) => {
                if has_marker || open.content_line.is_some() {
                    open.range.end = start;
                    chunks.push(open);
                    open = Chunk { range: start..start, first_line: line, content_line: None };
                }
                has_marker = true;
                if has_content(rest) {
                    open.content_line = Some(line);
                }
            }
            Some(Marker::End) => {
                open.range.end = start;
                chunks.push(open);
                let next = file.line_range(line + 1).start;
                open = Chunk { range: next..next, first_line: line + 1, content_line: None };
                has_marker = false;
            }
            None => {
                let directive = !has_marker && content.starts_with('%');
                if open.content_line.is_none() && has_content(content) && !directive {
                    open.content_line = Some(line);
                }
            }
        }
    }
    open.range.end = file.as_str().len();
    chunks.push(open);
    chunks.retain(|chunk| chunk.content_line.is_some());
    chunks
}

enum Marker<'a> {
    Start(&'a str),
    End,
}

fn marker(line: &str) -> Option<Marker<'_>> {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t']);
    if let Some(rest) = line.strip_prefix("---") {
        return ends(rest).then_some(Marker::Start(rest));
    }
    let rest = line.strip_prefix("...")?;
    ends(rest).then_some(Marker::End)
}

fn has_content(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> FileText {
        FileText::decode(source.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn lines_and_places_count_characters() {
        let file = text("\u{feff}äb\r\nc\rd\n");
        assert_eq!(file.line_count(), 4);
        assert_eq!((file.line(1), file.line(2), file.line(3), file.line(4)), ("äb", "c", "d", ""));
        assert_eq!(file.place_of(2), (1, 2));
        assert_eq!(file.place_of(1), (1, 1));
        assert_eq!(file.place_of(5), (2, 1));
        assert_eq!(file.line(99), "");
    }

    #[test]
    fn refuses_what_is_no_text() {
        let refused = |bytes: &[u8]| FileText::decode(bytes.to_vec()).unwrap_err();
        assert_eq!(refused(b"a: \xff").code, code::NOT_UTF8.id);
        let place = |refused: &Diagnostic| (refused.mark.line, refused.mark.column);
        assert_eq!(place(&refused(b"a: b\nc: \xff")), (2, 4));
        let nul = refused(b"a: b\nc: \0");
        assert_eq!((nul.code, place(&nul)), (code::CONTROL_CHARACTER.id, (2, 4)));
        assert_eq!(refused(&vec![b'a'; LARGEST_FILE + 1]).code, code::FILE_TOO_LARGE.id);
        assert!(refused(b"\xff\xfea\0").message.contains("UTF-16"));
    }

    fn cut(source: &str) -> Vec<(String, u32, u32)> {
        let file = FileText::decode(source.as_bytes().to_vec()).unwrap();
        let take = |c: &Chunk| {
            (file.slice(c.range.clone()).to_owned(), c.first_line, c.content_line.unwrap())
        };
        split(&file).iter().map(take).collect()
    }

    #[test]
    fn cuts_at_markers() {
        assert_eq!(
            cut("# head\na: 1\n---\n\n# c\nb: 2\n--- {c: 3}\n...\nd: 4\n---\n# empty\n"),
            vec![
                ("# head\na: 1\n".to_owned(), 1, 2),
                ("---\n\n# c\nb: 2\n".to_owned(), 3, 6),
                ("--- {c: 3}\n".to_owned(), 7, 7),
                ("d: 4\n".to_owned(), 9, 9),
            ]
        );
    }

    #[test]
    fn markers_count_in_column_zero_only() {
        assert_eq!(cut("a: |\n  ---\n  ...\nb: ---x\n---x: 1\n").len(), 1);
        assert_eq!(cut("a: 1\r\n---\r\nb: 2\r\n").len(), 2);
        assert_eq!(cut("").len(), 0);
        assert_eq!(cut("---\n---\n# only\n...\n").len(), 0);
    }

    #[test]
    fn directives_belong_to_the_document_that_follows() {
        assert_eq!(
            cut("%YAML 1.2\n---\na: 1\n"),
            vec![("%YAML 1.2\n---\na: 1\n".to_owned(), 1, 3)]
        );
    }
}
