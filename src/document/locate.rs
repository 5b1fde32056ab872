//! From a pointer into a document to a line in a file.
//!
//! Only documents with problems come here, so their files are read a second time rather than kept
//! in memory for the thousands that have none.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::cache::Read;
use super::diagnostic::{Diagnostic, Mark};
use super::file::{ParsedFile, RawDocument};
use super::finding::{At, Finding, Part};
use super::layers::Merged;
use super::pointer::lookup;
use super::snippet::{Masks, only_references, point, whole_file};
use super::spans::{Span, Spans};
use super::text::{FileText, to_u32};
use crate::catalog::{self, hidden};
use crate::source::FileEntry;

/// How many documents are kept in memory with their places.
const MOST_KEPT: usize = 64;

/// Finds places in the files of one load.
pub(crate) struct Locator<'l> {
    entries: &'l [&'l FileEntry],
    files: &'l [Arc<ParsedFile>],
    read: &'l Read<'l>,
    texts: HashMap<usize, Option<FileText>>,
    documents: HashMap<At, Located>,
}

/// The places of one document, and what of it must not be shown.
struct Located {
    spans: Option<Spans>,
    masks: Masks,
}

impl<'l> Locator<'l> {
    pub(crate) fn new(
        entries: &'l [&'l FileEntry],
        files: &'l [Arc<ParsedFile>],
        read: &'l Read<'l>,
    ) -> Self {
        Self { entries, files, read, texts: HashMap::new(), documents: HashMap::new() }
    }

    /// The path of a document's file.
    pub(crate) fn file(&self, at: At) -> Option<&Arc<str>> {
        self.entries.get(at.file).map(|entry| &entry.path)
    }

    /// The document itself.
    pub(crate) fn document(&self, at: At) -> Option<&'l RawDocument> {
        self.files.get(at.file)?.documents.get(at.document)
    }

    /// Gives a finding its place.
    pub(crate) fn diagnose(
        &mut self,
        finding: Finding,
        merged: Option<&Merged<'_>>,
        target: Option<&str>,
    ) -> Diagnostic {
        let at = finding.at.or_else(|| merged?.origin(&finding.pointer));
        let mark = match at {
            Some(at) => self.mark(at, &finding.pointer, &finding.part),
            None => whole_file(),
        };
        let related = finding
            .related
            .iter()
            .map(|(at, pointer, what)| (self.mark(*at, pointer, &Part::Value), what.clone()))
            .collect();
        Diagnostic {
            code: finding.code.id,
            severity: finding.severity,
            message: finding.message,
            help: finding.help,
            mark,
            related,
            target: target.filter(|_| finding.of_target).map(str::to_owned),
        }
    }

    fn mark(&mut self, at: At, pointer: &str, part: &Part) -> Mark {
        let file = self.file(at).map(ToString::to_string).unwrap_or_default();
        self.locate(at);
        let mark = match (self.texts.get(&at.file), self.documents.get(&at), self.document(at)) {
            (Some(Some(text)), Some(located), Some(raw)) => {
                let span = place(text, located, raw, pointer, part);
                located.masks.mark(text, span)
            }
            (_, _, Some(raw)) => Mark { line: raw.line, column: 1, ..whole_file() },
            _ => whole_file(),
        };
        Mark { file, ..mark }
    }

    fn locate(&mut self, at: At) {
        let (Some(entry), Some(raw)) = (self.entries.get(at.file), self.document(at)) else {
            return;
        };
        // The findings of one connection come together, so what is far back is not asked again.
        if self.documents.len() > MOST_KEPT {
            self.documents.clear();
            self.texts.clear();
        }
        let read = self.read;
        let text = self
            .texts
            .entry(at.file)
            .or_insert_with(|| read(entry).ok().and_then(|bytes| FileText::decode(bytes).ok()));
        let Some(text) = text else { return };
        self.documents.entry(at).or_insert_with(|| {
            let spans = Spans::of(text.slice(raw.chunk.range.clone()), raw.chunk.first_line);
            let mut masks = Masks::of(text, &raw.chunk, spans.as_ref());
            if let Some(spans) = &spans {
                hide_known(raw, spans, &mut masks);
            }
            Located { spans, masks }
        });
    }
}

/// Hides what the catalog knows to be a secret in a document of this type.
fn hide_known(raw: &RawDocument, spans: &Spans, masks: &mut Masks) {
    let fields = &raw.fields;
    let named = fields.get("type").and_then(Value::as_str).and_then(catalog::find);
    for connection_type in catalog::all().filter(|t| named.is_none_or(|named| named.name == t.name))
    {
        for part in hidden::secret_parts(connection_type, fields) {
            let text = lookup(fields, &part.pointer).and_then(Value::as_str);
            let secret = match (&part.range, text) {
                (Some(range), Some(text)) => text.get(range.clone()).unwrap_or(text),
                _ => "literal",
            };
            if !only_references(secret)
                && let Some(span) = spans.value(&part.pointer)
            {
                masks.hide_span(span);
            }
        }
    }
}

/// The span to mark; where the pointer leads nowhere, the nearest thing above it.
fn place(
    text: &FileText,
    located: &Located,
    raw: &RawDocument,
    pointer: &str,
    part: &Part,
) -> Span {
    let start = || {
        let line = text.line(raw.line);
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let column = to_u32(indent + 1);
        let end_column = to_u32(line.trim_end().chars().count() + 1);
        Span { line: raw.line, column, end_line: raw.line, end_column }
    };
    let Some(spans) = located.spans.as_ref().filter(|_| *part != Part::Start) else {
        return start();
    };
    let mut above = pointer;
    while !above.is_empty() {
        let exact = above.len() == pointer.len();
        let key = spans.key(above);
        let found = match part {
            _ if !exact => key,
            Part::Key | Part::Start => key,
            Part::Value | Part::Text(_) => spans.value(above),
        };
        if let Some(span) = found {
            // An empty value has no extent of its own.
            let nothing = (span.line, span.column) >= (span.end_line, span.end_column);
            let span = if nothing { key.unwrap_or(span) } else { span };
            return match part {
                Part::Text(wanted) if exact => within(text, span, wanted).unwrap_or(span),
                _ => span,
            };
        }
        above = above.rfind('/').and_then(|at| above.get(..at)).unwrap_or_default();
    }
    start()
}

/// Where a text stands within a span.
fn within(text: &FileText, span: Span, wanted: &str) -> Option<Span> {
    if wanted.is_empty() {
        return None;
    }
    (span.line..=span.end_line).find_map(|number| {
        let line = text.line(number);
        let from = if number == span.line { span.column as usize - 1 } else { 0 };
        let offset = line.char_indices().nth(from)?.0;
        let found = line.get(offset..)?.find(wanted)? + offset;
        let (_, column) = point_of(line, found);
        let length = to_u32(wanted.chars().count());
        Some(Span { end_column: column + length, ..point((number, column)) })
    })
}

fn point_of(line: &str, offset: usize) -> (usize, u32) {
    (offset, to_u32(line.get(..offset).unwrap_or_default().chars().count() + 1))
}
