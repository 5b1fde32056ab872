//! YAML to documents: what git declares, before variables of the environment are known.
//!
//! Parsing goes file by file and is cached by blob; [`load()`] then puts the documents of one
//! target together: overlays merged, fields checked against the catalog, plain variables checked.
//! Every problem is a [`Diagnostic`] that already knows its place.

mod check;
mod examine;
mod file;
mod gather;
mod load;
mod options;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::ConnectionType;
use crate::diagnostic::At;
use crate::name::ConnectionName;
use crate::pointer::{look_up, merge_patch};
use crate::rules::{Match, UserRules};
use crate::source::Folder;

use file::RawDocument;

pub use crate::diagnostic::code;
pub(crate) use crate::diagnostic::{Diagnostic, Mark, Severity};
pub(crate) use check::refused_fields;
pub(crate) use examine::{unknown_variables, variables_of};
pub use file::ParseCache;
pub(crate) use file::ParsedFile;
pub(crate) use load::{DeclaredLayer, OldDeclarations, declared_names, layers};
pub use load::{Loaded, load};

/// A request to load documents.
pub struct LoadRequest<'r> {
    /// One for each configured path, in its order: later ones patch earlier ones.
    pub folders: &'r [Folder],
    /// The target that it is for; `None`: every document counts, whatever its `targets`.
    pub target: Option<&'r str>,
    /// The names of all targets, to warn of `targets` that name none; `None`: not known.
    pub known_targets: Option<&'r BTreeSet<String>>,
    /// The target's variables; `None`: not known, so nothing is said of them.
    pub vars: Option<&'r BTreeMap<String, Value>>,
    /// The rules of the user; `None`: they are not asked.
    pub rules: Option<&'r UserRules>,
}

impl<'r> LoadRequest<'r> {
    /// A request for which no config is known.
    pub fn without_config(folders: &'r [Folder]) -> Self {
        Self { folders, target: None, known_targets: None, vars: None, rules: None }
    }
}

/// Where a document begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path of the file, relative to the root of the repository.
    pub file: Arc<str>,
    /// The line of the document's first key, counted from 1.
    pub line: u32,
}

/// A connection that is blocked, because a document of it is not valid or it waits for one that is not.
#[derive(Clone, Debug, Default)]
pub struct Invalid {
    /// The first problem.
    pub reason: String,
    /// The type that the document names; empty if none is known.
    pub type_name: String,
    /// The place of the document, if there is one.
    pub place: Option<Place>,
    /// The rules of the user that deny it.
    pub rules: Vec<Match>,
}

impl From<String> for Invalid {
    fn from(reason: String) -> Self {
        Self { reason, ..Self::default() }
    }
}

/// One connection as git declares it for one target: overlays merged, checked, references
/// still written as text.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its type in the catalog.
    pub connection_type: &'static ConnectionType,
    /// Its name, as the first path spells it.
    pub name: ConnectionName,
    /// The options under `x-gitops`.
    pub options: Options,
    /// The fields that it declares, without `type`, `name` and `x-gitops`, in the order of the
    /// document and with references as written.
    pub fields: Arc<Map<String, Value>>,
    /// Where it begins: in the last path that has a say in it.
    pub place: Place,
}

/// The key `x-gitops` of a document, which is never sent to the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Never delete or replace this connection.
    pub protect: bool,
    /// The name that this connection had before.
    pub renamed_from: Option<ConnectionName>,
    /// Fields that others may edit, as JSON pointers (a plain name `a` is kept as `/a`).
    pub ignore: BTreeSet<String>,
    /// Leave this connection alone for now.
    pub suspend: bool,
    /// Only on these targets; `None`: on all.
    pub targets: Option<BTreeSet<String>>,
}

impl Options {
    /// The options as rules of the user see them: each key is there.
    pub(crate) fn for_rules(&self) -> Value {
        let old = self.renamed_from.as_ref().map_or("", ConnectionName::as_str);
        let targets: Vec<&String> = self.targets.iter().flatten().collect();
        serde_json::json!({
            "protect": self.protect,
            "renamedFrom": old,
            "ignore": self.ignore,
            "suspend": self.suspend,
            "targets": targets,
        })
    }
}

// Overlays: the documents of one name over the paths of a target, merged.

/// One document in one path.
#[derive(Debug)]
pub(crate) struct Layer<'f> {
    /// Where it stands.
    pub(crate) at: At,
    /// Which path it belongs to, by its place in the target's `paths`.
    pub(crate) path: usize,
    /// The document.
    pub(crate) document: &'f RawDocument,
}

/// All documents of one name, in the order of the paths, and what they come to.
#[derive(Debug)]
pub(crate) struct Merged<'f> {
    /// The layers, the first one the base.
    pub(crate) layers: Vec<Layer<'f>>,
    /// Their `type`, `name` and `x-gitops` together.
    pub(crate) head: Map<String, Value>,
    /// The fields that they declare together.
    pub(crate) fields: Arc<Map<String, Value>>,
}

impl<'f> Merged<'f> {
    /// Merges layers.
    pub(crate) fn of(layers: Vec<Layer<'f>>) -> Self {
        let mut all = layers.iter().map(|layer| layer.document);
        let first = all.next().map(|first| (first.head.clone(), Arc::clone(&first.fields)));
        let (mut head, mut fields) = first.unwrap_or_default();
        for by in all {
            merge_patch(&mut head, &by.head);
            merge_patch(Arc::make_mut(&mut fields), &by.fields);
        }
        Self { layers, head, fields }
    }

    /// The document that brought the value at a pointer, or took it away.
    pub(crate) fn origin(&self, pointer: &str) -> Option<At> {
        let last = self.layers.last()?;
        if self.layers.len() == 1 {
            return Some(last.at);
        }
        let mut pointer = pointer;
        while !pointer.is_empty() {
            let brings = |layer: &&Layer| {
                let RawDocument { head, fields, .. } = layer.document;
                look_up(fields, pointer).or_else(|| look_up(head, pointer)).is_some()
            };
            if let Some(layer) = self.layers.iter().rev().find(brings) {
                return Some(layer.at);
            }
            pointer = pointer.rfind('/').and_then(|at| pointer.get(..at)).unwrap_or_default();
        }
        Some(last.at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::file::ParsedFile;

    #[test]
    fn knows_which_layer_brought_a_value() {
        let files = ["{a: 1, b: {c: 1, d: 1}, e: 1}", "{b: {c: 2}, e: null}"]
            .map(|text| ParsedFile::parse(text.as_bytes().to_vec()));
        let layers = files.iter().enumerate().map(|(path, file)| Layer {
            at: At { file: path, document: 0 },
            path,
            document: &file.documents[0],
        });
        let merged = Merged::of(layers.collect());
        assert_eq!(json!(*merged.fields), json!({"a": 1, "b": {"c": 2, "d": 1}}));
        for (pointer, file) in [("/a", 0), ("/b/c", 1), ("/b/d", 0), ("/e", 1), ("/x", 1), ("", 1)]
        {
            assert_eq!(merged.origin(pointer).map(|at| at.file), Some(file), "{pointer}");
        }
    }
}
