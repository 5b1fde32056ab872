//! The documents of one target: read, layered, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::Value;

use super::cache::{ParseCache, Read};
use super::check::{self, Check};
use super::code;
use super::diagnostic::{Diagnostic, Severity};
use super::file::ParsedFile;
use super::finding::{Finding, Part, quoted};
use super::gather::{Gathered, gather};
use super::layers::{At, Merged};
use super::locate::Locator;
use super::options;
use super::pointer::{child, item};
use super::renames::{self, Rename};
use super::{Document, Place};
use crate::name::ConnectionName;
use crate::source::{FileEntry, Folder};

/// How many problems of one file are told.
const MOST_OF_FILE: usize = 1000;

/// What to load.
pub struct LoadRequest<'r> {
    /// One for each configured path, in its order: later ones patch earlier ones.
    pub folders: &'r [Folder],
    /// The target that it is for; `None`: every document counts, whatever its `targets`.
    pub target: Option<&'r str>,
    /// The names of all targets, to warn of `targets` that name none; `None`: not known.
    pub known_targets: Option<&'r BTreeSet<String>>,
    /// The target's variables; `None`: not known, so nothing is said of them.
    pub vars: Option<&'r BTreeMap<String, Value>>,
}

/// What a target should hold, and what is wrong with the files that say so.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The valid documents for this target, sorted by name.
    pub documents: Vec<Document>,
    /// The names whose documents say that they are not for this target.
    pub elsewhere: Vec<ConnectionName>,
    /// The names whose documents have an error, with the first: they are blocked in all paths.
    pub invalid: BTreeMap<ConnectionName, String>,
    /// The old names that invalid documents are renamed from, by the new ones.
    pub renames_of_invalid: BTreeMap<ConnectionName, ConnectionName>,
    /// Files with documents whose names cannot be known.
    pub unreadable: Vec<Arc<str>>,
    /// Every problem, sorted by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// The paths: as configured, whether the snapshot has it, and how many documents it declares.
    pub folders: Vec<(Arc<str>, bool, usize)>,
    /// The names that each file declares, valid or not.
    pub names_by_file: BTreeMap<Arc<str>, Vec<ConnectionName>>,
}

impl Loaded {
    /// Whether anything is wrong enough to refuse the commit.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Loads the documents of a target.
#[must_use]
pub fn load(request: &LoadRequest<'_>, cache: &ParseCache, read: &Read<'_>) -> Loaded {
    let assigned = super::gather::assign(request.folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files = cache.files(&entries, read);
    let mut locator = Locator::new(&entries, &files, read);
    let mut loader = Loader {
        request,
        locator: &mut locator,
        loaded: Loaded::default(),
        renames: Vec::new(),
        said: BTreeMap::new(),
        rest: BTreeMap::new(),
        circumstances: circumstances(request.vars),
    };
    loader.file_problems(&entries, &files);
    let gathered = gather(&assigned, &files);
    loader.unnamed(gathered.findings);
    loader.count(request.folders, &gathered.documents_by_folder);
    loader.loaded.names_by_file = gathered.names_by_file;
    for (name, (layers, finding)) in gathered.names {
        loader.connection(name, Merged::of(layers, &files), finding);
    }
    loader.renames();
    loader.finish()
}

/// What files of the past declared for a target.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DeclaredThen {
    /// The names of the documents.
    pub names: BTreeSet<ConnectionName>,
    /// The old names of their renames, by the new ones.
    pub renames: BTreeMap<ConnectionName, ConnectionName>,
    /// How many documents each configured path held.
    pub paths: BTreeMap<String, usize>,
}

/// What the files declare for a target, whatever is wrong with their documents: for commits of the
/// past, which may not load by the rules of today.
#[must_use]
pub fn declared_names(
    folders: &[Folder],
    target: Option<&str>,
    cache: &ParseCache,
    read: &Read<'_>,
) -> DeclaredThen {
    let assigned = super::gather::assign(folders);
    let entries: Vec<&FileEntry> = assigned.iter().map(|(_, entry)| *entry).collect();
    let files = cache.files(&entries, read);
    let Gathered { names, documents_by_folder, .. } = gather(&assigned, &files);
    let mut then = DeclaredThen::default();
    for (name, (layers, _)) in names.into_iter().filter(|(_, (layers, _))| !layers.is_empty()) {
        let merged = Merged::of(layers, &files);
        if !is_for(target, options::targets_of(&merged.fields).as_ref()) {
            continue;
        }
        if let Some(old) = options::old_name_of(&merged.fields) {
            then.renames.insert(name.clone(), old);
        }
        then.names.insert(name);
    }
    for (index, folder) in folders.iter().enumerate() {
        let count = documents_by_folder.get(index).copied().unwrap_or(0);
        then.paths.insert(folder.path.to_string(), count);
    }
    then
}

fn is_for(target: Option<&str>, targets: Option<&BTreeSet<String>>) -> bool {
    match (target, targets) {
        (Some(target), Some(targets)) => targets.contains(target),
        _ => true,
    }
}

struct Loader<'r, 'l> {
    request: &'r LoadRequest<'r>,
    locator: &'r mut Locator<'l>,
    loaded: Loaded,
    /// The merged documents with a `renamedFrom`, by the number of their document.
    renames: Vec<(usize, Merged)>,
    /// How many problems of each file were told.
    said: BTreeMap<usize, usize>,
    /// The files with more problems than are told, and how bad the worst of those is.
    rest: BTreeMap<usize, Severity>,
    /// What else than their content decides what is wrong with documents.
    circumstances: NonZeroU64,
}

impl Loader<'_, '_> {
    /// Takes over what is wrong with files, under the names that they have here.
    fn file_problems(&mut self, entries: &[&FileEntry], files: &[Arc<ParsedFile>]) {
        for (entry, file) in entries.iter().zip(files) {
            if file.problems.is_empty() {
                continue;
            }
            self.loaded.unreadable.push(Arc::clone(&entry.path));
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
                self.loaded.unreadable.push(Arc::clone(file));
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

    fn say(&mut self, finding: Finding, merged: Option<&Merged>) {
        let file = finding.at.or_else(|| merged?.origin(&finding.pointer)).map_or(0, |at| at.file);
        let said = self.said.entry(file).or_default();
        *said += 1;
        if *said > MOST_OF_FILE {
            let severity = finding.severity;
            if *said == MOST_OF_FILE + 1 {
                self.rest.insert(file, severity);
            } else if finding.is_error() {
                self.rest.insert(file, Severity::Error);
            }
            return;
        }
        let diagnostic = self.locator.diagnose(finding, merged, self.request.target);
        self.loaded.diagnostics.push(diagnostic);
    }

    fn block(&mut self, name: &ConnectionName, findings: Vec<Finding>, merged: &Merged) {
        for finding in findings {
            if finding.is_error() {
                let reason = finding.message.clone();
                self.loaded.invalid.entry(name.clone()).or_insert(reason);
            }
            self.say(finding, Some(merged));
        }
    }

    /// Checks one connection and keeps its document.
    fn connection(&mut self, name: ConnectionName, mut merged: Merged, duplicates: Vec<Finding>) {
        let mut findings = duplicates;
        let options = options::read(&merged.fields, &mut findings);
        self.check_targets(options.targets.as_ref(), &mut findings);
        if !is_for(self.request.target, options.targets.as_ref()) {
            // What is wrong elsewhere is said there; a document that is declared twice is wrong
            // wherever it is for.
            self.block(&name, findings, &merged);
            self.loaded.elsewhere.push(name);
            return;
        }
        let patches_nothing =
            merged.layers.len() == 1 && merged.layers.first().is_some_and(|layer| layer.path > 0);
        let connection_type =
            check::connection_type(&merged.fields, patches_nothing, &mut findings);
        let Some(connection_type) = connection_type else {
            self.block(&name, findings, &merged);
            return;
        };
        for key in ["type", "name", options::KEY] {
            merged.fields.shift_remove(key);
        }
        let alone = merged.layers.len() == 1 && !patches_nothing;
        let layer = merged.layers.first().filter(|_| alone);
        let document = layer.and_then(|layer| self.locator.document(layer.at));
        let circumstances = self.circumstances;
        if !document.is_some_and(|document| document.is_faultless(circumstances)) {
            let before = findings.len();
            Check {
                name: name.as_str(),
                connection_type,
                fields: &merged.fields,
                vars: self.request.vars,
                patches_nothing,
            }
            .run(&mut findings);
            if let Some(document) = document.filter(|_| findings.len() == before) {
                document.note_faultless(circumstances);
            }
        }
        ignore_unknown(connection_type, &options.ignore, &merged, &mut findings);
        let refused = findings.iter().any(Finding::is_error);
        self.block(&name, findings, &merged);
        if refused {
            if let Some(old) = options.renamed_from {
                self.loaded.renames_of_invalid.insert(name, old);
            }
            return;
        }
        let Some(place) = self.place(&merged) else { return };
        let fields = std::mem::take(&mut merged.fields);
        if options.renamed_from.is_some() {
            self.renames.push((self.loaded.documents.len(), merged));
        }
        self.loaded.documents.push(Document { connection_type, name, options, fields, place });
    }

    fn place(&self, merged: &Merged) -> Option<Place> {
        let at = merged.layers.last()?.at;
        let file = Arc::clone(self.locator.file(at)?);
        Some(Place { file, line: self.locator.document(at)?.line })
    }

    fn check_targets(&self, targets: Option<&BTreeSet<String>>, findings: &mut Vec<Finding>) {
        let (Some(known), Some(targets)) = (self.request.known_targets, targets) else { return };
        for target in targets.iter().filter(|target| !known.contains(*target)) {
            let message = format!("no target is called {}", quoted(target));
            let pointer = child(&child("", options::KEY), "targets");
            let nearest = crate::catalog::nearest_of(known.iter(), target, |name| name.as_str());
            let help = match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "check the names of the targets in the config".to_owned(),
            };
            findings.push(
                Finding::warning(&code::UNKNOWN_TARGET, pointer, message)
                    .help(help)
                    .part(Part::Text(target.clone())),
            );
        }
    }

    /// Checks the renames among the valid documents; those that are wrong become invalid.
    fn renames(&mut self) {
        let renamed = std::mem::take(&mut self.renames);
        let documents = &self.loaded.documents;
        let pointer = child(&child("", options::KEY), "renamedFrom");
        let renames: Vec<Rename<'_>> = renamed
            .iter()
            .filter_map(|(index, merged)| {
                let document = documents.get(*index)?;
                let from = document.options.renamed_from.as_ref()?;
                Some(Rename { to: &document.name, from, at: merged.origin(&pointer) })
            })
            .collect();
        let problems = renames::check(&renames);
        for (name, finding) in problems {
            self.loaded.invalid.entry(name).or_insert_with(|| finding.message.clone());
            self.say(finding, None);
        }
        let invalid = &self.loaded.invalid;
        self.loaded.documents.retain(|document| !invalid.contains_key(&document.name));
    }

    fn finish(mut self) -> Loaded {
        for (file, severity) in std::mem::take(&mut self.rest) {
            let message = format!("the file has more than {MOST_OF_FILE} problems");
            let mut finding = Finding::error(&code::TOO_MANY, "", message)
                .part(Part::Start)
                .help("mend those that are listed and run again")
                .at(At { file, document: 0 });
            finding.severity = severity;
            let diagnostic = self.locator.diagnose(finding, None, None);
            self.loaded.diagnostics.push(diagnostic);
        }
        self.loaded.unreadable.sort();
        self.loaded.unreadable.dedup();
        let key = |d: &Diagnostic| (d.mark.file.clone(), d.mark.line, d.mark.column, d.code);
        self.loaded.diagnostics.sort_by_cached_key(key);
        self.loaded
    }
}

/// What else than its content decides what the checks of a document say, as a number.
fn circumstances(vars: Option<&BTreeMap<String, Value>>) -> NonZeroU64 {
    let mut hasher = DefaultHasher::new();
    vars.is_some().hash(&mut hasher);
    for (name, value) in vars.into_iter().flatten() {
        (name, value.to_string()).hash(&mut hasher);
    }
    NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX)
}

/// Warns of an entry of `ignore` that no field has.
fn ignore_unknown(
    connection_type: &'static crate::catalog::ConnectionType,
    ignore: &BTreeSet<String>,
    merged: &Merged,
    findings: &mut Vec<Finding>,
) {
    for entry in ignore {
        let top = super::pointer::steps(entry).next().unwrap_or_default().into_owned();
        if connection_type.field(&top).is_some() || merged.fields.contains_key(&top) {
            continue;
        }
        let message = format!(
            "`ignore` names {}, and a connection of type `{}` has no such field",
            quoted(&top),
            connection_type.name
        );
        let finding = Finding::warning(
            &code::UNKNOWN_FIELD,
            item(&child(&child("", options::KEY), "ignore"), 0),
            message,
        )
        .part(Part::Text(top.clone()));
        findings.push(match connection_type.nearest_field(&top) {
            Some(nearest) => finding.help(format!("did you mean `{}`?", nearest.name)),
            None => finding.help("check the spelling"),
        });
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
