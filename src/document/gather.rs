//! The documents of all files by name, one stack of layers each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Layer;
use super::file::ParsedFile;
use super::options::no_reference;
use crate::diagnostic::{At, Finding, Part, code, quoted};
use crate::name::{self, ConnectionName};
use crate::reference::holds_reference;
use crate::source::{FileEntry, Folder};

/// How many documents of one file are told to have no name.
const MOST_UNNAMED: usize = 100;
/// How many other documents of one name are told.
const MOST_DUPLICATES: usize = 20;

/// The declarations of the files.
#[derive(Default)]
pub(crate) struct Gathered<'f> {
    /// The layers of each name in the order of the paths, and the problems of having them.
    pub(crate) names: BTreeMap<ConnectionName, (Vec<Layer<'f>>, Vec<Finding>)>,
    /// Documents without a usable name.
    pub(crate) findings: Vec<Finding>,
    /// How many documents each path declares.
    pub(crate) documents_by_folder: Vec<usize>,
    /// The names that each file declares, in the order of the files.
    pub(crate) names_by_file: Vec<(Arc<str>, Vec<ConnectionName>)>,
}

/// Gives every file to one path: where paths lie in one another, to the deepest, and of two equal
/// ones to the later. In the order of the paths, then of the files.
pub(crate) fn assign(folders: &[Folder]) -> Vec<(usize, &FileEntry)> {
    if let [only] = folders {
        return only.files.iter().map(|file| (0, file)).collect();
    }
    let depth = |folder: &Folder| {
        folder.path.split('/').filter(|step| !step.is_empty() && *step != ".").count()
    };
    let mut owners: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (index, folder) in folders.iter().enumerate() {
        let depth = depth(folder);
        for file in &folder.files {
            let owner = owners.entry(&file.path).or_insert((index, depth));
            if depth >= owner.1 {
                *owner = (index, depth);
            }
        }
    }
    let mut assigned = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        for file in &folder.files {
            if owners.get(&*file.path).is_some_and(|(owner, _)| *owner == index) {
                assigned.push((index, file));
            }
        }
    }
    assigned
}

/// Sorts the documents of parsed files by their names.
pub(crate) fn gather<'f>(
    assigned: &[(usize, &FileEntry)],
    files: &'f [Arc<ParsedFile>],
) -> Gathered<'f> {
    let mut gathered = Gathered::default();
    for (file, ((path, entry), parsed)) in assigned.iter().zip(files).enumerate() {
        if gathered.documents_by_folder.len() <= *path {
            gathered.documents_by_folder.resize(*path + 1, 0);
        }
        if let Some(count) = gathered.documents_by_folder.get_mut(*path) {
            *count += parsed.documents.len();
        }
        let mut unnamed_here = 0;
        let mut names = Vec::with_capacity(parsed.documents.len());
        for (document, raw) in parsed.documents.iter().enumerate() {
            let at = At { file, document };
            match &raw.name {
                Some(name) => {
                    names.push(name.clone());
                    gathered.add(name, Layer { at, path: *path, document: raw });
                }
                None if unnamed_here < MOST_UNNAMED => {
                    unnamed_here += 1;
                    gathered.findings.push(unnamed(&raw.head).at(at));
                }
                None => {}
            }
        }
        if !names.is_empty() {
            gathered.names_by_file.push((Arc::clone(&entry.path), names));
        }
    }
    gathered
}

impl<'f> Gathered<'f> {
    /// Puts a layer onto its name; the spelling of the first one stays.
    fn add(&mut self, name: &ConnectionName, layer: Layer<'f>) {
        let (layers, findings) = self.names.entry(name.clone()).or_default();
        match layers.last().filter(|last| last.path == layer.path) {
            None => layers.push(layer),
            Some(first) => {
                let message = format!("`{name}` is declared twice in one path");
                let mut finding =
                    Finding::error(&code::DUPLICATE_NAME, "/name", message).at(layer.at);
                let what = "it is declared first here".to_owned();
                finding.related.push((first.at, "/name".to_owned(), what));
                if findings.len() < MOST_DUPLICATES {
                    findings.push(finding);
                }
            }
        }
    }
}

/// Says why a document has no usable name.
fn unnamed(head: &Map<String, Value>) -> Finding {
    let pointer = "/name";
    match head.get("name") {
        None | Some(Value::Null) => {
            Finding::error(&code::NAME_MISSING, "", "the document has no `name`".to_owned())
                .part(Part::FirstLine)
        }
        Some(value) if holds_reference(value) => no_reference(pointer, "name"),
        Some(Value::String(name)) => {
            let problem = name::problem_with(name).unwrap_or("cannot be used");
            let message = format!("the name {} {problem}", quoted(name));
            Finding::error(&code::BAD_NAME, pointer, message)
        }
        Some(_) => Finding::error(&code::NAME_MISSING, pointer, "`name` takes a text".to_owned()),
    }
}
