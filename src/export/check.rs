//! Whether what was exported passes `validate`: live may hold what no document may, such as a
//! header without a value.

use std::sync::Arc;

use super::files::ExportFile;
use crate::document::{Diagnostic, LoadRequest, ParseCache, load};
use crate::source::{FileEntry, Folder};

/// The problems that `validate` would find in files of an export.
#[must_use]
pub fn problems(files: &[ExportFile]) -> Vec<Diagnostic> {
    let documents: Vec<&ExportFile> =
        files.iter().filter(|file| !file.name.starts_with('.')).collect();
    // The id stands for a file's place in the list; no two files share a parse.
    let id = |index: usize| {
        let mut id = [0; 20];
        let bytes = index.to_be_bytes();
        if let Some(tail) = id.last_chunk_mut() {
            *tail = bytes;
        }
        id
    };
    let entries = documents
        .iter()
        .enumerate()
        .map(|(index, file)| FileEntry { path: Arc::from(file.name.as_str()), blob: id(index) });
    let folder = Folder { path: Arc::from("."), exists: true, files: entries.collect() };
    let request = LoadRequest {
        folders: std::slice::from_ref(&folder),
        target: None,
        known_targets: None,
        vars: None,
    };
    let read = |entry: &FileEntry| {
        let file = documents.iter().find(|file| file.name == *entry.path);
        file.map(|file| file.text.clone().into_bytes()).ok_or_else(|| "is not there".to_owned())
    };
    load(&request, &ParseCache::default(), &read).diagnostics
}
