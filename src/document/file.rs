//! One file: its bytes to the documents in it and their problems.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::Merged;
use crate::catalog::{self, HEAD, hidden};
use crate::diagnostic::{
    At, Chunk, Diagnostic, Excerpt, FileText, Finding, Mark, Part, code, is_field, only_references,
    split,
};
use crate::name::{self, ConnectionName};
use crate::parallel::in_parallel;
use crate::reference::holds_reference;
use crate::source::FileEntry;
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
    /// Its `type`, `name` and `x-gitops`.
    pub(crate) head: Map<String, Value>,
    /// Its other keys and values. A document that nothing patches shares them.
    pub(crate) fields: Arc<Map<String, Value>>,
    /// Its part of the file.
    pub(crate) chunk: Chunk,
    /// The line of its first key.
    pub(crate) line: u32,
}

impl RawDocument {
    /// All its keys and values.
    pub(crate) fn whole(&self) -> Map<String, Value> {
        let all = self.head.iter().chain(&*self.fields);
        all.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
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
            Err(problem) => parsed.problems.push(*problem),
        }
        // Most files hold one document, and a list has room for four.
        parsed.documents.shrink_to_fit();
        parsed
    }

    /// A file that cannot be had.
    pub(crate) fn unreadable(reason: &str) -> Self {
        let message = format!("the file cannot be read: {reason}");
        let problem = Diagnostic::error(&code::UNREADABLE_FILE, message, Mark::whole_file());
        Self { documents: Vec::new(), problems: vec![problem] }
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
            Ok(Value::Object(mut fields)) => {
                let line = chunk.content_line.unwrap_or(chunk.first_line);
                let head = HEAD.iter().filter_map(|key| fields.shift_remove_entry(*key));
                let head: Map<String, Value> = head.collect();
                let name = name_of(&head).map(ConnectionName::new);
                let (head, fields) = (yaml::exact(head), Arc::new(yaml::exact(fields)));
                self.documents.push(RawDocument { name, head, fields, chunk, line });
            }
            Ok(other) => self.problems.push(not_a_mapping(&other, file, &chunk)),
        }
    }
}

/// The name of a document, where it has one that can be used.
fn name_of(head: &Map<String, Value>) -> Option<&str> {
    let value = head.get("name")?;
    let name = value.as_str()?;
    (!holds_reference(value) && name::problem_with(name).is_none()).then_some(name)
}

fn too_many(rest: &Chunk) -> Diagnostic {
    let message = format!("{MOST_PROBLEMS} documents of the file failed; the rest was not read");
    let mark = Mark { line: rest.first_line, column: 1, ..Mark::whole_file() };
    Diagnostic::error(&code::TOO_MANY, message, mark)
}

fn not_a_mapping(value: &Value, file: &Arc<FileText>, chunk: &Chunk) -> Diagnostic {
    let kind = if value.is_array() { "a list" } else { "a single value" };
    // A value that stands alone has no key that would say whether it is a secret.
    let mark =
        Mark { text: String::new(), ..Excerpt::whole(file, chunk, is_field).first_character() };
    let message =
        format!("the document is {kind}, and a connection is declared as `key: value` pairs");
    Diagnostic::error(&code::NOT_A_MAPPING, message, mark)
}

// Parsed files by the id of their content, so that a commit that changes one file among ten
// thousand parses one file.

/// How much the cache may hold, in bytes of documents.
const MOST: usize = 160 * 1024 * 1024;

/// Reads the content of a file.
pub(crate) type Read<'r> = dyn Fn(&FileEntry) -> Result<Vec<u8>, String> + Sync + 'r;

/// The files that were parsed, kept for the life of the process.
#[derive(Debug, Default)]
pub struct ParseCache {
    kept: Mutex<Kept>,
    parsed: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<[u8; 20], (Arc<ParsedFile>, u64)>,
    weight: usize,
    /// Counts the loads, so that what the last ones did not need goes first.
    load: u64,
}

impl ParseCache {
    /// How many files were parsed so far.
    pub fn parsed(&self) -> u64 {
        self.parsed.load(Ordering::Relaxed)
    }

    /// The parsed files of these entries, in their order. What is not known yet is read and
    /// parsed, on several threads where there is much of it.
    pub(crate) fn files(&self, entries: &[&FileEntry], read: &Read<'_>) -> Vec<Arc<ParsedFile>> {
        let known: Vec<_> = {
            let mut kept = self.kept.lock();
            kept.load += 1;
            entries.iter().map(|entry| (*entry, kept.get(&entry.blob))).collect()
        };
        in_parallel(known, |(entry, known)| {
            known.unwrap_or_else(|| {
                // The parser has no known panic; were there one, it would cost one file.
                catch_unwind(AssertUnwindSafe(|| self.parse(entry, read))).unwrap_or_else(|_| {
                    Arc::new(ParsedFile::unreadable("the parser stopped on it"))
                })
            })
        })
    }

    /// Reads and parses a file, and keeps it; a failed read says nothing of the content.
    fn parse(&self, entry: &FileEntry, read: &Read<'_>) -> Arc<ParsedFile> {
        match read(entry) {
            Ok(bytes) => {
                self.parsed.fetch_add(1, Ordering::Relaxed);
                let file = Arc::new(ParsedFile::parse(bytes));
                self.kept.lock().put(entry.blob, &file);
                file
            }
            Err(reason) => Arc::new(ParsedFile::unreadable(&reason)),
        }
    }
}

impl Kept {
    fn get(&mut self, blob: &[u8; 20]) -> Option<Arc<ParsedFile>> {
        let load = self.load;
        let (file, used) = self.files.get_mut(blob)?;
        *used = load;
        Some(Arc::clone(file))
    }

    fn put(&mut self, blob: [u8; 20], file: &Arc<ParsedFile>) {
        let weight = file.weight();
        if weight > MOST {
            return;
        }
        while self.weight + weight > MOST {
            let Some(oldest) = self.files.values().map(|(_, used)| *used).min() else { break };
            self.files.retain(|_, (_, used)| *used != oldest);
            self.weight = self.files.values().map(|(file, _)| file.weight()).sum();
        }
        if let Entry::Vacant(slot) = self.files.entry(blob) {
            slot.insert((Arc::clone(file), self.load));
            self.weight += weight;
        }
    }
}

// From a pointer into a document to a line in a file.
//
// Only documents with problems come here, so their files are read a second time rather than kept
// in memory for the thousands that have none.

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
        Diagnostic { mark, related, target, ..finding.problem }
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

/// Conceals what the catalog knows to be a secret in a document of this type.
fn hide_known(raw: &RawDocument, excerpt: &mut Excerpt) {
    let fields = &raw.whole();
    let named = fields.get("type").and_then(Value::as_str).and_then(catalog::find);
    for connection_type in catalog::all().filter(|t| named.is_none_or(|named| named.name == t.name))
    {
        for part in hidden::secret_parts(connection_type, fields) {
            if !part.text(fields).is_some_and(only_references) {
                excerpt.conceal(&part.pointer);
            }
        }
    }
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
            serde_json::json!(*parsed.documents[0].fields),
            serde_json::json!({"a": "b", "c": "d"})
        );
    }

    fn entry(number: u32) -> FileEntry {
        let mut blob = [0; 20];
        blob[..4].copy_from_slice(&number.to_be_bytes());
        FileEntry { path: Arc::from(format!("{number}.yaml")), blob }
    }

    #[test]
    fn parses_each_content_once() {
        let cache = ParseCache::default();
        let entries: Vec<_> = (0..200).map(entry).collect();
        let all: Vec<_> = entries.iter().collect();
        let read = |entry: &FileEntry| Ok(format!("name: {}", entry.path).into_bytes());
        let files = cache.files(&all, &read);
        assert_eq!((files.len(), cache.parsed()), (200, 200));
        assert_eq!(files[150].documents[0].head["name"], "150.yaml");
        let more = entry(200);
        let again: Vec<_> = entries.iter().chain([&more]).collect();
        assert_eq!(cache.files(&again, &read).len(), 201);
        assert_eq!(cache.parsed(), 201);
    }

    #[test]
    fn a_failed_read_is_not_kept() {
        let cache = ParseCache::default();
        let one = entry(1);
        let failed = cache.files(&[&one], &|_| Err("no".to_owned()));
        assert_eq!(failed[0].problems[0].code, "AG001");
        assert!(cache.files(&[&one], &|_| Ok(Vec::new()))[0].problems.is_empty());
    }
}
