//! The memory that the rules ask for, and all that a run looks at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{Commit, Document, Kind, Loaded, SECRET};

/// A connection of the server as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: String,
    pub(crate) body: Map<String, Value>,
}

/// Git's side of a field when live last agreed with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) declared: Value,
    pub(crate) value: Value,
}

/// A connection that the tool made or took over.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) kind: Kind,
    /// Nothing until it was seen after its create.
    pub(crate) id: Option<String>,
    pub(crate) base: BTreeMap<String, Agreed>,
    pub(crate) protect: bool,
    /// The rename that its document declared when it was compared, which is done.
    pub(crate) renamed_from: Option<String>,
    pub(crate) secret: SecretKnown,
}

impl Owned {
    /// Whether live is what was written, and nothing beside, in the fields of its type.
    pub(crate) fn is_all_of(&self, live: &Live) -> bool {
        let is_told = |field: &str| ![SECRET, "type", "name", "custom", "other"].contains(&field);
        let mut beside = live.body.iter().filter(|(field, _)| !self.base.contains_key(*field));
        self.is_shown_by(live)
            && !beside.any(|(field, value)| {
                is_told(field) && self.kind.plain(field, Some(value)).is_some()
            })
    }

    /// Whether live is what the base revision declared, secrets aside.
    pub(crate) fn is_shown_by(&self, live: &Live) -> bool {
        self.base.iter().filter(|(field, _)| *field != SECRET).all(|(field, agreed)| {
            let was = self.kind.plain(field, Some(&agreed.value));
            was == self.kind.plain(field, live.body.get(field))
        })
    }
}

/// The knowledge about the secret of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SecretKnown {
    /// The base has it as it was first seen: it was neither sent nor read back.
    pub(crate) unverified: bool,
    /// Live's value when it was proven, of a secret that git does not declare.
    pub(crate) shown: Option<Value>,
}

/// Why a due delete waits for somebody's word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hold {
    /// More than a limit that allowed so many, of an inventory of that size.
    Limit { allowed: usize, inventory: usize },
    /// All of the inventory.
    Whole,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) consent: bool,
    pub(crate) hold: Option<Hold>,
    /// A path was missing or empty while it was due: a higher limit does not make up for that.
    pub(crate) emptied: bool,
    /// Of a replace: the kind that takes the place.
    pub(crate) becomes: Option<Kind>,
    /// No commit is known to have asked for it; what held it is remembered all the same.
    pub(crate) undue: bool,
    /// The name that the same commit was to rename from it.
    pub(crate) moved_to: Option<String>,
}

/// The newest commit that was begun to be applied.
#[derive(Clone, Debug)]
pub(crate) struct Good {
    pub(crate) commit: usize,
    pub(crate) loaded: Loaded,
    /// The names that each path touched when it last declared something, of paths that are read
    /// and of those that an earlier commit was read with.
    pub(crate) touched: BTreeMap<&'static str, BTreeSet<String>>,
    /// The names that runs saw since then which looked at a part of a commit, and those whose connection
    /// they deleted, renamed or found gone.
    pub(crate) seen: BTreeSet<String>,
    pub(crate) left: BTreeSet<String>,
    /// Of the names that paths touched: those that are only old names of renames, and those that links hid.
    pub(crate) old_names: BTreeSet<String>,
    pub(crate) hidden: BTreeSet<String>,
    /// The paths in which it had links that are known as such.
    pub(crate) links: BTreeSet<&'static str>,
    /// The paths that were lost with it and that nobody consented to.
    pub(crate) lost: BTreeSet<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) owned: BTreeMap<String, Owned>,
    pub(crate) notes: BTreeMap<String, Note>,
    pub(crate) good: Option<Good>,
    pub(crate) applied: Option<usize>,
    /// Types whose secret `GET` was seen to show.
    pub(crate) readable: BTreeSet<Kind>,
    /// The declaration when the server refused to replace a connection.
    pub(crate) refused: BTreeMap<String, Asked>,
    /// Deleted, and not deployed: no commit counts as applied before the name is made anew.
    pub(crate) undeployed: BTreeSet<String>,
    /// Somebody suspended the target.
    pub(crate) suspended: bool,
    /// It stands for a revision (`--base`), not for a state.
    pub(crate) stateless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Adopt {
    Always,
    Equal,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MaxDeletes {
    Count(usize),
    Percent(usize),
}

impl MaxDeletes {
    pub(crate) fn yaml(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Percent(share) => format!("{share}%"),
        }
    }

    pub(crate) fn allows(self, inventory: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(share) => (inventory * share / 100).max(3),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) paths: Vec<&'static str>,
    pub(crate) prune: bool,
    pub(crate) max: MaxDeletes,
    pub(crate) adopt: Adopt,
    pub(crate) report: bool,
    pub(crate) isolate: bool,
    pub(crate) host: &'static str,
}

/// How the server shows secrets that are read one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shows {
    All,
    Nothing,
    /// Those of emails.
    Some,
    CipherText,
    /// Another text at each read.
    FreshCipherText,
}

impl Shows {
    /// The secret as a reading shows it, if it does.
    pub(crate) fn of(self, kind: Kind, stored: Option<&Value>) -> Option<Value> {
        let stored = stored.filter(|v| v.as_str().is_some_and(|text| !text.is_empty()))?;
        match self {
            Self::All => Some(stored.clone()),
            Self::Some if kind == Kind::Email => Some(stored.clone()),
            Self::Some | Self::Nothing => None,
            Self::CipherText | Self::FreshCipherText => Some(Value::from("some cipher text")),
        }
    }
}

/// The flags of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Flags {
    pub(crate) allow_deletes: bool,
    /// `--allow-delete`: these exact names.
    pub(crate) allow_delete: Vec<String>,
    pub(crate) resend: bool,
    pub(crate) names: Vec<String>,
    pub(crate) types: Vec<Kind>,
    /// `--base`, as the number of the commit.
    pub(crate) base: Option<usize>,
}

impl Flags {
    pub(crate) fn narrow(&self) -> bool {
        !self.names.is_empty() || !self.types.is_empty()
    }

    pub(crate) fn admits(&self, kind: Kind, name: &str) -> bool {
        (self.names.is_empty() || self.names.iter().any(|glob| fits(glob, name)))
            && (self.types.is_empty() || self.types.contains(&kind))
    }
}

/// Whether a name fits a glob, of which the model has `*` alone.
fn fits(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((head, tail)) => {
            let rest = name.strip_prefix(head);
            rest.is_some_and(|rest| (0..=rest.len()).any(|at| fits(tail, &rest[at..])))
        }
    }
}

/// All that a run looks at.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) shows: Shows,
    pub(crate) renames: bool,
    /// The server shows ids.
    pub(crate) ids: bool,
    pub(crate) env: &'a BTreeMap<String, String>,
    /// The history, the tip last.
    pub(crate) commits: &'a [Commit],
    pub(crate) live: &'a BTreeMap<String, Live>,
    pub(crate) flags: &'a Flags,
}

impl Sight<'_> {
    /// The value of what is declared; nothing where it does not resolve.
    pub(crate) fn resolve(&self, declared: &Value) -> Option<Value> {
        resolve(declared, self.settings, self.env)
    }
}

fn resolve(declared: &Value, settings: &Settings, env: &BTreeMap<String, String>) -> Option<Value> {
    match declared.as_str() {
        Some("${var:host}") => Some(Value::from(settings.host)),
        Some(text) => match text.strip_prefix("${env:").and_then(|t| t.strip_suffix('}')) {
            Some(name) => env.get(name).cloned().map(Value::from),
            None => Some(declared.clone()),
        },
        None => Some(declared.clone()),
    }
}

/// The values that the server is asked for: another value of a var or of the environment is another thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    kind: Kind,
    fields: BTreeMap<String, Option<Value>>,
}

impl Asked {
    pub(crate) fn of(
        document: &Document,
        settings: &Settings,
        env: &BTreeMap<String, String>,
    ) -> Self {
        let fields = document.fields.iter();
        let fields = fields.map(|(name, value)| (name.clone(), resolve(value, settings, env)));
        Self { kind: document.kind, fields: fields.collect() }
    }
}
