//! Whether what was exported passes `validate`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::Exported;
use super::files::ExportFile;
use crate::config::FILE_NAME as CONFIG_FILE;
use crate::document::code;
use crate::document::{Diagnostic, LoadRequest, ParseCache, Severity, load};
use crate::name::ConnectionName;
use crate::source::{FileEntry, Files, Folder, SourceError};

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

/// The connections of an export that other files of a folder declare: beside those they would be
/// declared twice. Each with that file.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn declared_elsewhere(
    folder: &Path,
    files: &[ExportFile],
    documents: &[Exported],
) -> Result<Vec<(ConnectionName, String)>, SourceError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let there = Files::named_in(folder.to_path_buf());
    let listing = there.folders(&[".".to_owned()], Some(CONFIG_FILE))?;
    let request = LoadRequest::without_config(&listing.folders);
    let read = |entry: &FileEntry| there.read(entry).map_err(|error| error.to_string());
    let loaded = load(&request, &ParseCache::default(), &read);
    let exported: BTreeSet<&ConnectionName> = documents.iter().map(|one| &one.name).collect();
    let replaced: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let others = loaded.names_by_file.iter().filter(|(path, _)| !replaced.contains(&**path));
    let twice = others.flat_map(|(path, names)| {
        let twice = names.iter().filter(|name| exported.contains(name));
        twice.map(|name| (name.clone(), path.to_string()))
    });
    Ok(twice.collect())
}

/// The problems that `validate` would find in files of an export.
pub(crate) fn problems(files: &[ExportFile]) -> Vec<Diagnostic> {
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
    let request = LoadRequest::without_config(std::slice::from_ref(&folder));
    let read = |entry: &FileEntry| {
        let text = files.get(&*entry.path);
        text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| "is not there".to_owned())
    };
    load(&request, &ParseCache::default(), &read).diagnostics
}
