//! A file cut at its document markers, so that a mistake in one document does not hide the next.

use std::ops::Range;

use super::text::FileText;

/// The text of one document within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its bytes, from its `---` (where it has one) to the next marker.
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
