//! YAML to documents: what git declares, before variables of the environment are known.
//!
//! Parsing goes file by file and is cached by blob; [`load()`] then puts the documents of one
//! target together: overlays merged, fields checked against the catalog, plain variables checked.
//! Every problem is a [`Diagnostic`] that already knows its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalog::ConnectionType;
use crate::name::ConnectionName;
use crate::rules::UserRules;
use crate::source::Folder;

mod cache;
mod check;
mod examine;
mod file;
mod gather;
mod layers;
mod load;
mod locate;
mod options;
mod renames;
mod variables;

pub use crate::diagnostic::code;
pub(crate) use crate::diagnostic::{Diagnostic, Mark, Severity};
pub use cache::ParseCache;
pub(crate) use check::refused;
pub(crate) use file::ParsedFile;
pub(crate) use load::{DeclaredLayer, OldDeclarations, declared_names, layers};
pub use load::{Loaded, load};
pub(crate) use options::holds_reference;
pub(crate) use variables::{unknown_variables, variables_of};

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
    pub fields: Map<String, Value>,
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
