//! Live connections as the documents that would declare them: the way into git for a project
//! that was made by hand.
//!
//! [`live_connections`] asks the API for whole connections, [`Export::of`] turns them into documents, and
//! [`files`] puts those into a folder. What is written passes `validate`, and with the values of
//! its variables set it plans to nothing, because it is made of the same tables and the same
//! rules of equality that the plan has. It never holds a secret: where one stands, or may stand,
//! a reference is written, and [`Variable`] says what has to be set.

mod document;
pub(crate) mod files;
mod known;
pub(crate) mod yaml;

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use crate::api::{CallError, Client, Listed};
use crate::catalog;
use crate::config::FILE_NAME as CONFIG_FILE;
use crate::document::{Diagnostic, LoadRequest, ParseCache, Severity, code, load};
use crate::live::LiveConnection;
use crate::name::{self, ConnectionName};
use crate::plan::Filter;
use crate::reference::{self, Segment};
use crate::secret::{Redactor, Sensitive};
use crate::source::{FileEntry, Files, Folder, Snapshot, SourceError};

use document::LeftOut;
use files::ExportFile;

pub(crate) use document::normal_value;
pub(crate) use known::KnownReferences;
pub(crate) use known::template;

/// Live connections as documents.
#[derive(Debug, Default)]
pub(crate) struct Export {
    /// One for each connection, by type and then by name.
    pub documents: Vec<Exported>,
    /// The variables that the documents refer to, in their order, each once.
    pub variables: Vec<Variable>,
    /// The connections that no document can declare, with the reason.
    pub passed_over: Vec<String>,
    /// The fields that no document may hold, with their connections and the reason.
    pub left_out: Vec<String>,
}

/// One connection as a document.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// Its type.
    pub type_name: &'static str,
    /// Its name, as the server spells it.
    pub name: ConnectionName,
    /// The document, without a `---` before it.
    pub text: String,
}

/// A variable of the environment that the documents refer to.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// Its name.
    pub name: String,
    /// Its meaning, in words.
    pub about: String,
    /// The documents only offer it, in a comment.
    pub offered: bool,
    /// Its value, where the API showed it: for a redactor to learn, never to be written.
    pub value: Option<Sensitive>,
}

/// Why no document can declare a name; names take no references, and no escapes of them.
fn problem_with(name: &str) -> Option<&'static str> {
    let is_text = |segment: &Segment<'_>| matches!(segment, Segment::Text(_));
    let is_plain = reference::parse(name).is_ok_and(|all| all.iter().all(is_text));
    name::problem_with(name).or((!is_plain).then_some("looks like a reference"))
}

impl Export {
    /// Leaves out documents that show a value of the environment in a text that is no reference.
    pub(crate) fn leave_out_known(&mut self, redactor: &Redactor) {
        let (hidden, shown) = std::mem::take(&mut self.documents)
            .into_iter()
            .partition::<Vec<_>, _>(|document| redactor.is_shown_in(&document.text));
        self.documents = shown;
        self.passed_over.extend(hidden.iter().map(|document| {
            let Exported { type_name, name, .. } = document;
            format!(
                "{type_name} `{name}` shows a value of the environment; take it out of there first"
            )
        }));
    }

    /// Declares the documents for one target alone.
    pub(crate) fn declare_for(&mut self, target: &str) {
        let options = serde_json::json!({"targets": [target]});
        for document in &mut self.documents {
            yaml::entry(&mut document.text, "x-gitops", &options);
        }
    }

    /// Makes the documents of connections; `known` are the references that git declares already,
    /// `prefix` is the start of the names of new variables, and with `full` fields that hold their
    /// documented default are written too.
    pub(crate) fn of(
        connections: &[LiveConnection],
        known: &KnownReferences,
        prefix: &str,
        full: bool,
    ) -> Self {
        let mut sorted: Vec<_> = connections
            .iter()
            .filter_map(|live| {
                let own = catalog::all().enumerate().find(|(_, own)| own.name == live.type_name)?;
                Some((own.0, own.1, live))
            })
            .collect();
        sorted.sort_by(|a, b| (a.0, &a.2.name).cmp(&(b.0, &b.2.name)));

        let mut names = known::VariableNames::new(prefix, known);
        let mut export = Self::default();
        for (_, connection_type, live) in sorted {
            let name = live.name.as_str();
            let what = format!("the {} connection {name:?}", connection_type.name);
            if known.is_shown_in_name(name) {
                export.passed_over.push(format!(
                    "a connection of type {} cannot be declared: its name shows a value of the \
                     environment",
                    connection_type.name
                ));
                continue;
            }
            let written = match problem_with(name) {
                Some(problem) => Err(format!("its name {problem}")),
                None => document::write(connection_type, live, known, &mut names, full),
            };
            match written {
                Ok((text, left_out)) => {
                    let line = |LeftOut { field, why }: LeftOut| {
                        format!("`{}` of {what} is not written: {why}", field.escape_debug())
                    };
                    export.left_out.extend(left_out.into_iter().map(line));
                    let (type_name, name) = (connection_type.name, live.name.clone());
                    export.documents.push(Exported { type_name, name, text });
                }
                Err(problem) => {
                    export.passed_over.push(format!("{what} cannot be declared: {problem}"));
                }
            }
        }
        export.pass_over_what_does_not_load();
        export.variables = names.variables;
        let used: BTreeSet<String> = export.documents.iter().flat_map(references_in).collect();
        export.variables.retain(|variable| used.contains(&variable.name));
        export
    }

    /// Some problems show only when a document is whole, such as that it is too large.
    fn pass_over_what_does_not_load(&mut self) {
        let names: Vec<String> = (0..self.documents.len()).map(|n| n.to_string()).collect();
        let texts = self.documents.iter().map(|document| document.text.as_str());
        let found = problems_in(&names.iter().map(String::as_str).zip(texts).collect());
        let mut refused: BTreeMap<String, &str> = BTreeMap::new();
        for error in found.into_iter().filter(|problem| problem.severity == Severity::Error) {
            let marks = error.related.into_iter().map(|(mark, _)| mark).chain([error.mark]);
            for mark in marks {
                refused.entry(mark.file).or_insert(code::title(error.code));
            }
        }
        for (name, document) in names.iter().zip(std::mem::take(&mut self.documents)) {
            match refused.get(name) {
                None => self.documents.push(document),
                Some(problem) => self.passed_over.push(format!(
                    "the {} connection {:?} cannot be declared: {problem}",
                    document.type_name,
                    document.name.as_str()
                )),
            }
        }
    }
}

/// The names of variables in a text, and what looks like one.
fn references_in(document: &Exported) -> impl Iterator<Item = String> {
    let tails = document.text.split("${env:").skip(1);
    tails.filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
}

// Reading whole connections: each by its own GET, with what only its list shows.

/// Reads the connections of a target that a filter admits, and the names that lists show more than
/// once, which no document can declare. A type that the server does not know has none; a connection
/// that vanishes between list and GET is passed over.
///
/// # Errors
/// A list or a connection cannot be read: an export with holes would pass for a whole one.
pub(crate) async fn live_connections(
    client: &Client,
    filter: &Filter,
    concurrency: usize,
) -> Result<(Vec<LiveConnection>, BTreeSet<ConnectionName>), CallError> {
    let concurrency = concurrency.max(1);
    let types = catalog::all().filter(|candidate| filter.admits_type(candidate.name));
    let calls: Vec<_> = types.map(|candidate| client.list(candidate.name)).collect();
    let mut lists = stream::iter(calls).buffered(concurrency);
    let (mut listed, mut twice) = (BTreeMap::new(), BTreeSet::new());
    while let Some(list) = lists.next().await {
        if let Listed::Complete(connections) = list? {
            let admitted = connections.into_iter().filter(|c| filter.admits(&c.type_name, &c.name));
            for connection in admitted {
                let earlier = listed.insert(connection.name.clone(), connection);
                twice.extend(earlier.map(|earlier| earlier.name));
            }
        }
    }
    listed.retain(|name, _| !twice.contains(name));
    Ok((read_each(client, listed.into_values(), concurrency).await?, twice))
}

/// Reads connections of lists one by one; one that vanished since is passed over. One whose name no
/// document can declare stays as its list shows it: a URL may not be able to hold the name.
///
/// # Errors
/// A connection cannot be read.
pub(crate) async fn read_each(
    client: &Client,
    listed: impl IntoIterator<Item = LiveConnection>,
    concurrency: usize,
) -> Result<Vec<LiveConnection>, CallError> {
    let mut singles = stream::iter(listed)
        .map(|entry| async move {
            if problem_with(entry.name.as_str()).is_some() {
                return Ok(Some(entry));
            }
            let single = client.get(&entry.name).await?;
            Ok(single.and_then(|one| LiveConnection::from_entry(one.with_listed(&entry))))
        })
        .buffered(concurrency.max(1));
    let mut connections = Vec::new();
    while let Some(single) = singles.next().await {
        connections.extend(single?);
    }
    Ok(connections)
}

// Whether what was exported passes `validate`.

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
    let there = Snapshot::Disk(Files::named_in(folder.to_path_buf()));
    let listing = there.folders(&[".".to_owned()], Some(CONFIG_FILE))?;
    let request = LoadRequest::without_config(&listing.folders);
    let loaded = load(&request, &ParseCache::default(), &there.reader());
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
    let entries =
        files.keys().zip(0..).map(|(name, number)| FileEntry::numbered(Arc::from(*name), number));
    let folder = Folder { path: Arc::from("."), exists: true, files: entries.collect() };
    let request = LoadRequest::without_config(std::slice::from_ref(&folder));
    let read = |entry: &FileEntry| {
        let text = files.get(&*entry.path);
        text.map(|text| text.as_bytes().to_vec()).ok_or_else(|| "is not there".to_owned())
    };
    load(&request, &ParseCache::default(), &read).diagnostics
}
