//! From a pointer into a document to a line in a file.
//!
//! Only documents with problems come here, so their files are read a second time rather than kept
//! in memory for the thousands that have none.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::cache::Read;
use super::file::{ParsedFile, RawDocument};
use super::layers::Merged;
use crate::catalog::{self, hidden};
use crate::diagnostic::{At, Diagnostic, Excerpt, FileText, Finding, Mark, Part, only_references};
use crate::pointer::look_up;
use crate::source::FileEntry;

/// How many documents are kept in memory with their places.
const MOST_KEPT: usize = 64;

/// Finds places in the files of one load.
pub(crate) struct Locator<'l> {
    entries: &'l [&'l FileEntry],
    files: &'l [Arc<ParsedFile>],
    read: &'l Read<'l>,
    texts: HashMap<usize, Option<Arc<FileText>>>,
    documents: HashMap<At, Excerpt>,
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
            None => Mark::whole_file(),
        };
        let related = finding
            .related
            .iter()
            .map(|(at, pointer, text)| (self.mark(*at, pointer, &Part::Value), text.clone()))
            .collect();
        let target = target.filter(|_| finding.of_target).map(str::to_owned);
        Diagnostic { target, ..finding.into_diagnostic(mark, related) }
    }

    fn mark(&mut self, at: At, pointer: &str, part: &Part) -> Mark {
        let file = self.file(at).map(ToString::to_string).unwrap_or_default();
        self.locate(at);
        let mark = match (self.documents.get(&at), self.document(at)) {
            (Some(excerpt), _) => excerpt.mark(pointer, part),
            (None, Some(raw)) => Mark { line: raw.line, column: 1, ..Mark::whole_file() },
            (None, None) => Mark::whole_file(),
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
        let decode = |bytes| FileText::decode(bytes).ok().map(Arc::new);
        let text = self.texts.entry(at.file).or_insert_with(|| read(entry).ok().and_then(decode));
        let Some(text) = text else { return };
        self.documents.entry(at).or_insert_with(|| {
            let mut excerpt = Excerpt::new(text, &raw.chunk);
            hide_known(raw, &mut excerpt);
            excerpt
        });
    }
}

/// Hides what the catalog knows to be a secret in a document of this type.
fn hide_known(raw: &RawDocument, excerpt: &mut Excerpt) {
    let fields = &raw.fields;
    let named = fields.get("type").and_then(Value::as_str).and_then(catalog::find);
    for connection_type in catalog::all().filter(|t| named.is_none_or(|named| named.name == t.name))
    {
        for part in hidden::secret_parts(connection_type, fields) {
            let text = look_up(fields, &part.pointer).and_then(Value::as_str);
            let secret = match (&part.range, text) {
                (Some(range), Some(text)) => text.get(range.clone()).unwrap_or(text),
                _ => "literal",
            };
            if !only_references(secret) {
                excerpt.hide(&part.pointer);
            }
        }
    }
}
