//! The documents of one target: read, layered, checked.

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::examine::{self, Examined, Rename, examine};
use super::file::{Locator, ParseCache, ParsedFile, Read};
use super::gather::{Gathered, assign, gather};
use super::{Document, Invalid, Layer, LoadRequest, Merged, Place, options};
use crate::catalog::{self, ConnectionType};
use crate::diagnostic::{At, Diagnostic, Finding, Part, Severity, code};
use crate::name::ConnectionName;
use crate::parallel::in_parallel;
use crate::source::{FileEntry, Folder};

/// How many problems of one file are told.
const MOST_OF_FILE: usize = 1000;

/// The connections that a target should hold, and the problems of the files that say so.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The valid documents for this target, sorted by name.
    pub documents: Vec<Document>,
    /// The names whose documents have an error, with the first of each. With `on_invalid: isolate` they
    /// are blocked in all paths.
    pub invalid: BTreeMap<ConnectionName, Invalid>,
    /// The old names that invalid documents are renamed from, by the new ones.
    pub renames_of_invalid: BTreeMap<ConnectionName, ConnectionName>,
    /// Files with documents whose names cannot be known.
    pub broken_files: Vec<Arc<str>>,
    /// Every problem, sorted by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// The paths: as configured, whether the snapshot has it, and how many documents it declares.
    pub folders: Vec<(Arc<str>, bool, usize)>,
    /// The names that each file declares, valid or not.
    pub names_by_file: Vec<(Arc<str>, Vec<ConnectionName>)>,
}

impl Loaded {
    /// Whether anything is wrong enough to refuse the commit.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The problems that refuse the commit.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Loads the documents of a target.
pub fn load(request: &LoadRequest<'_>, cache: &ParseCache, read: &Read<'_>) -> Loaded {
    let assigned = assign(request.folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files = cache.files(&entries, read);
    let mut loader = Loader {
        request,
        locator: Locator::new(&entries, &files, read),
        loaded: Loaded::default(),
        renames: Vec::new(),
        said: BTreeMap::new(),
    };
    loader.file_problems(&entries, &files);
    let gathered = gather(&assigned, &files);
    loader.unnamed(gathered.findings);
    loader.count(request.folders, &gathered.documents_by_folder);
    loader.loaded.names_by_file = gathered.names_by_file;
    let names: Vec<_> = gathered.names.into_iter().collect();
    for examined in in_parallel(names, |(name, found)| examine(request, name, found)) {
        loader.connection(examined);
    }
    loader.renames();
    loader.finish()
}

/// The declarations of older files for a target.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OldDeclarations {
    /// The names of the documents.
    pub names: BTreeSet<ConnectionName>,
    /// Their types, where they have one that is known.
    pub types: BTreeMap<ConnectionName, &'static str>,
    /// The old names of their renames, by the new ones.
    pub renames: BTreeMap<ConnectionName, ConnectionName>,
    /// How many documents each configured path held.
    pub paths: BTreeMap<String, usize>,
    /// The files of which not all names are known.
    pub unknown_files: BTreeSet<String>,
}

impl OldDeclarations {
    /// The names of the documents, and the old names of their renames.
    pub(crate) fn with_old_names(self) -> BTreeSet<ConnectionName> {
        self.names.into_iter().chain(self.renames.into_values()).collect()
    }

    /// Whether a document has the name, or is to be renamed from it; `done` are renames that were made.
    pub(crate) fn declares(
        &self,
        name: &ConnectionName,
        done: &BTreeMap<ConnectionName, ConnectionName>,
    ) -> bool {
        let is_open = |(new, old): (&ConnectionName, &ConnectionName)| done.get(new) != Some(old);
        let mut renames = self.renames.iter().filter(|(_, old)| *old == name);
        self.names.contains(name) || renames.any(is_open)
    }

    /// The same, or whether a document may that cannot be read.
    pub(crate) fn may_declare(&self, name: &ConnectionName) -> bool {
        !self.unknown_files.is_empty() || self.declares(name, &BTreeMap::new())
    }
}

/// The declarations of the files for a target, whatever is wrong with their documents: for commits
/// of the past, which may not load by the rules of today.
pub(crate) fn declared_names(
    folders: &[Folder],
    target: &str,
    cache: &ParseCache,
    read: &Read<'_>,
) -> OldDeclarations {
    let assigned = assign(folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files = cache.files(&entries, read);
    let Gathered { names, documents_by_folder, findings, .. } = gather(&assigned, &files);
    let unnamed: BTreeSet<usize> = findings.iter().filter_map(|f| Some(f.at?.file)).collect();
    let is_unknown = |at: usize| unnamed.contains(&at) || !files[at].problems.is_empty();
    let unknown = entries.iter().enumerate().filter(|(at, _)| is_unknown(*at));
    let unknown_files = unknown.map(|(_, entry)| entry.path.to_string()).collect();
    let mut then = OldDeclarations { unknown_files, ..OldDeclarations::default() };
    for (name, (layers, _)) in names.into_iter().filter(|(_, (layers, _))| !layers.is_empty()) {
        let merged = Merged::of(layers);
        if !options::are_for(options::targets_of(&merged.head).as_ref(), Some(target)) {
            continue;
        }
        if let Some(old) = options::old_name_of(&merged.head) {
            then.renames.insert(name.clone(), old);
        }
        let type_name = merged.head.get("type").and_then(Value::as_str);
        if let Some(known) = type_name.and_then(catalog::find) {
            then.types.insert(name.clone(), known.name);
        }
        then.names.insert(name);
    }
    for (index, folder) in folders.iter().enumerate() {
        let count = documents_by_folder.get(index).copied().unwrap_or(0);
        then.paths.insert(folder.path.to_string(), count);
    }
    then
}

/// One document in one path, by itself.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredLayer {
    /// The path of its file.
    pub file: Arc<str>,
    /// Which document of the file it is, of those that could be read.
    pub document: usize,
    /// Its keys and values.
    pub fields: Map<String, Value>,
}

/// The layers of each name, that of the first path first.
pub(crate) fn layers(
    folders: &[Folder],
    cache: &ParseCache,
    read: &Read<'_>,
) -> BTreeMap<ConnectionName, Vec<DeclaredLayer>> {
    let assigned = assign(folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files = cache.files(&entries, read);
    let declared = |layer: Layer<'_>| {
        let file = Arc::clone(&entries.get(layer.at.file)?.path);
        let fields = layer.document.whole();
        Some(DeclaredLayer { file, document: layer.at.document, fields })
    };
    let names = gather(&assigned, &files).names.into_iter();
    names.map(|(name, (all, _))| (name, all.into_iter().filter_map(declared).collect())).collect()
}

struct Loader<'r> {
    request: &'r LoadRequest<'r>,
    locator: Locator<'r>,
    loaded: Loaded,
    /// The merged documents with a `renamedFrom`, by the number of their document.
    renames: Vec<(usize, Merged<'r>)>,
    /// How many problems each file has, and how bad the worst of those is that are not told.
    said: BTreeMap<usize, (usize, Severity)>,
}

impl<'r> Loader<'r> {
    /// Adds the problems of files, under the names that they have here.
    fn file_problems(&mut self, entries: &[&FileEntry], files: &[Arc<ParsedFile>]) {
        for (entry, file) in entries.iter().zip(files) {
            if file.problems.is_empty() {
                continue;
            }
            self.loaded.broken_files.push(Arc::clone(&entry.path));
            for problem in &file.problems {
                let mut problem = problem.clone();
                problem.mark.file = entry.path.to_string();
                for (mark, _) in &mut problem.related {
                    mark.file = entry.path.to_string();
                }
                self.loaded.diagnostics.push(problem);
            }
        }
    }

    fn unnamed(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            if let Some(file) = finding.at.and_then(|at| self.locator.file(at)) {
                self.loaded.broken_files.push(Arc::clone(file));
            }
            self.say(finding, None);
        }
    }

    fn count(&mut self, folders: &[Folder], documents: &[usize]) {
        self.loaded.folders = folders
            .iter()
            .enumerate()
            .map(|(index, folder)| {
                let count = documents.get(index).copied().unwrap_or(0);
                (Arc::clone(&folder.path), folder.exists, count)
            })
            .collect();
    }

    fn say(&mut self, finding: Finding, merged: Option<&Merged<'_>>) {
        let file = finding.at.or_else(|| merged?.origin(&finding.pointer)).map_or(0, |at| at.file);
        let (said, worst) = self.said.entry(file).or_insert((0, Severity::Warning));
        *said += 1;
        if *said > MOST_OF_FILE {
            *worst = finding.problem.severity.min(*worst);
            return;
        }
        let diagnostic = self.locator.diagnose(finding, merged, self.request.target);
        self.loaded.diagnostics.push(diagnostic);
    }

    fn block(
        &mut self,
        name: &ConnectionName,
        connection_type: Option<&ConnectionType>,
        findings: Vec<Finding>,
        merged: &Merged<'_>,
    ) {
        for finding in findings {
            if finding.is_error() {
                let rule =
                    finding.problem.rule.as_ref().and_then(|rule| self.request.rules?.denial(rule));
                let place = merged.layers.last().and_then(|layer| self.place(layer.at));
                let first = || Invalid {
                    reason: finding.problem.message.clone(),
                    type_name: connection_type
                        .map_or_else(String::new, |known| known.name.to_owned()),
                    place,
                    rules: Vec::new(),
                };
                let invalid = self.loaded.invalid.entry(name.clone()).or_insert_with(first);
                invalid.rules.extend(rule);
            }
            self.say(finding, Some(merged));
        }
    }

    /// Adds the merged documents of one name.
    fn connection(&mut self, examined: Examined<'r>) {
        let Examined { name, merged, options, findings, is_for_target, connection_type } = examined;
        let refused = findings.iter().any(Finding::is_error);
        self.block(&name, connection_type, findings, &merged);
        if !is_for_target {
            return;
        }
        if refused {
            if let Some(old) = options.renamed_from {
                self.loaded.renames_of_invalid.insert(name, old);
            }
            return;
        }
        let Some(connection_type) = connection_type else { return };
        let Some(place) = merged.layers.last().and_then(|layer| self.place(layer.at)) else {
            return;
        };
        let fields = Arc::clone(&merged.fields);
        if options.renamed_from.is_some() {
            self.renames.push((self.loaded.documents.len(), merged));
        }
        self.loaded.documents.push(Document { connection_type, name, options, fields, place });
    }

    fn place(&self, at: At) -> Option<Place> {
        let file = Arc::clone(self.locator.file(at)?);
        Some(Place { file, line: self.locator.document(at)?.line })
    }

    /// Checks the renames among the valid documents; those that are wrong become invalid.
    fn renames(&mut self) {
        let renamed = std::mem::take(&mut self.renames);
        let documents = &self.loaded.documents;
        let pointer = options::pointer_to("renamedFrom");
        let renames: Vec<Rename<'_>> = renamed
            .iter()
            .filter_map(|(index, merged)| {
                let document = documents.get(*index)?;
                let from = document.options.renamed_from.as_ref()?;
                Some(Rename { to: &document.name, from, at: merged.origin(&pointer) })
            })
            .collect();
        let problems = examine::check_renames(&renames);
        for (name, finding) in problems {
            self.loaded
                .invalid
                .entry(name)
                .or_insert_with(|| finding.problem.message.clone().into());
            self.say(finding, None);
        }
        let Loaded { documents, invalid, renames_of_invalid, .. } = &mut self.loaded;
        for document in documents.extract_if(.., |document| invalid.contains_key(&document.name)) {
            if let Some(old) = document.options.renamed_from {
                renames_of_invalid.insert(document.name, old);
            }
        }
    }

    fn finish(mut self) -> Loaded {
        for (file, (_, severity)) in self.said.into_iter().filter(|(_, (n, _))| *n > MOST_OF_FILE) {
            let message = format!("the file has more than {MOST_OF_FILE} problems");
            let finding = Finding::error(&code::TOO_MANY, "", message)
                .severity(severity)
                .part(Part::FirstLine)
                .at(At { file, document: 0 });
            let diagnostic = self.locator.diagnose(finding, None, None);
            self.loaded.diagnostics.push(diagnostic);
        }
        self.loaded.broken_files.sort();
        self.loaded.broken_files.dedup();
        let key = |d: &Diagnostic| (d.mark.file.clone(), d.mark.line, d.mark.column, d.code);
        self.loaded.diagnostics.sort_by_cached_key(key);
        self.loaded
    }
}
