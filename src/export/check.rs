//! Whether what was exported passes `validate`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Exported;
use super::files::ExportFile;
use crate::document::code;
use crate::document::{Diagnostic, LoadRequest, ParseCache, Severity, load};
use crate::source::{FileEntry, Folder};

/// The documents that `validate` would refuse, by their place in the list, with what is wrong.
pub(super) fn refused(documents: &[Exported]) -> BTreeMap<usize, &'static str> {
    let names: Vec<String> = (0..documents.len()).map(|index| index.to_string()).collect();
    let texts = documents.iter().map(|document| document.text.as_str());
    let found = problems_in(&names.iter().map(String::as_str).zip(texts).collect());
    let mut refused = BTreeMap::new();
    for error in found.into_iter().filter(|problem| problem.severity == Severity::Error) {
        let title = code::all_codes().find(|code| code.id == error.code).map(|code| code.title);
        let marks = std::iter::once(&error.mark).chain(error.related.iter().map(|(mark, _)| mark));
        for index in marks.filter_map(|mark| mark.file.parse().ok()) {
            refused.entry(index).or_insert(title.unwrap_or("it does not load"));
        }
    }
    refused
}

/// The problems that `validate` would find in files of an export.
#[must_use]
pub fn problems(files: &[ExportFile]) -> Vec<Diagnostic> {
    let documents = files.iter().filter(|file| !file.name.starts_with('.'));
    problems_in(&documents.map(|file| (file.name.as_str(), file.text.as_str())).collect())
}

/// The problems of files, whose texts are found by their names.
fn problems_in(files: &BTreeMap<&str, &str>) -> Vec<Diagnostic> {
    // The id stands for a file's place in the list; no two files share a parse.
    let id = |index: usize| {
        let mut id = [0; 20];
        let bytes = index.to_be_bytes();
        if let Some(tail) = id.last_chunk_mut() {
            *tail = bytes;
        }
        id
    };
    let entries = files
        .keys()
        .enumerate()
        .map(|(index, name)| FileEntry { path: Arc::from(*name), blob: id(index) });
    let folder = Folder { path: Arc::from("."), exists: true, files: entries.collect() };
    let request = LoadRequest {
        folders: std::slice::from_ref(&folder),
        target: None,
        known_targets: None,
        vars: None,
    };
    let read = |entry: &FileEntry| {
        let text = files.get(&*entry.path);
        text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| "is not there".to_owned())
    };
    load(&request, &ParseCache::default(), &read).diagnostics
}
