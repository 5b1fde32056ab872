//! The plan: the one model that text, JSON, markdown, page and metrics are views of.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::document::Place;
use crate::name::ConnectionName;
use crate::source::Commit;

pub(crate) mod body;
pub(crate) mod compare;
mod decide;
mod entry;
pub mod equality;
mod filter;
pub(crate) mod history;
mod limits;
pub(crate) mod reading;
mod row;
mod rules;
pub mod saved;
pub(crate) mod settle;
mod state;
pub(crate) mod view;

pub(crate) use decide::{for_the_shell, forget_command};
pub(crate) use entry::{Entry, step, whole_digest};
pub use filter::Filter;
pub(crate) use row::{Observed, Rows, Said, join};
pub use rules::RunRules;
pub(crate) use rules::{CommitFacts, Policy, Rules};
pub use state::{ConnectionState, State};

use crate::record::Record;
use crate::secret::{Redactor, SENSITIVE};

/// A plan, and what else follows from it without any call.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: TargetPlan,
    /// The record with what needs no call: adoptions, agreements, names that left, holds.
    pub(crate) record: Record,
    /// How each connection stands, before anything is applied.
    pub(crate) states: Vec<ConnectionState>,
    /// By type, the connections whose update writes a secret since another one was read back.
    pub(crate) read_back: BTreeMap<String, Vec<ConnectionName>>,
    /// Connections that have to be read to know whether a PUT would wipe something: the name that
    /// is live now.
    pub(crate) to_read: BTreeSet<ConnectionName>,
}

/// Makes the plan of one target: decides each row, and then what the rules over all deletes hold.
pub(crate) fn plan(mut rows: Rows<'_>, record: &Record, rules: &Rules<'_>) -> Planned {
    let mut entries = decide::decide_renames(&mut rows, rules);
    let decided: BTreeSet<ConnectionName> = entries.iter().map(|e| e.name.clone()).collect();
    let others = rows.values().filter(|row| !decided.contains(row.name));
    entries.extend(others.filter_map(|row| decide::decide(row, rules)));
    limits::limit(&mut entries, &rows, rules);
    let filter = &rules.run.filter;
    entries.retain(|entry| filter.admits(&entry.type_name, &entry.name));
    let mut planned = Planned {
        plan: TargetPlan::default(),
        record: record.clone(),
        states: Vec::with_capacity(entries.len()),
        read_back: BTreeMap::new(),
        to_read: BTreeSet::new(),
    };
    for entry in entries {
        planned.take(entry, record);
    }
    planned.plan.changes.sort_by_key(|change| change.action.order());
    planned.tell(rules);
    planned
}

impl Planned {
    fn take(&mut self, entry: Entry, before: &Record) {
        self.plan.summary.count(&entry);
        if entry.state == State::Unmanaged && !entry.gone {
            self.plan.unmanaged.push((entry.type_name.clone(), entry.name.clone()));
        }
        if entry.read_back {
            let of_type = self.read_back.entry(entry.type_name.clone()).or_default();
            of_type.push(entry.name.clone());
        }
        if entry.needs_reading {
            let old = entry.change.as_ref().and_then(|change| change.previous_name.clone());
            self.to_read.insert(old.unwrap_or_else(|| entry.name.clone()));
        }
        for path in entry.proven_readable {
            self.record.readable.add(&entry.type_name, path);
        }
        if let Some(memory) = entry.memory {
            self.record.set(&entry.name, memory);
        }
        self.plan.notices.extend(entry.notice);
        self.plan.changes.extend(entry.change.into_iter().chain(entry.kept));
        if !entry.gone {
            self.states.push(ConnectionState {
                last_change: before.owned(&entry.name).and_then(|owned| owned.last_change),
                type_name: entry.type_name,
                name: entry.name,
                state: entry.state,
                reason: entry.reason,
                unverified: entry.unverified,
            });
        }
    }

    /// Says what is about the target as a whole.
    fn tell(&mut self, rules: &Rules<'_>) {
        let TargetPlan { notices, errors, .. } = &mut self.plan;
        for type_name in &rules.live.unsupported {
            notices.push(format!(
                "this version of the server does not know the type {type_name}: its documents are blocked"
            ));
        }
        for (name, memory) in &self.record.connections {
            let degraded = memory.degraded.as_ref().filter(|degraded| degraded.deleted.is_some());
            if let Some(degraded) = degraded {
                notices.push(format!(
                    "the delete of `{name}` was saved but not deployed, and is not sent again: {}; \
                     once the workers have it, `{}` ends this note",
                    degraded.reason,
                    forget_command(name)
                ));
            }
        }
        for (type_name, problem) in &rules.live.incomplete {
            errors.push(format!("the list of {type_name} is not complete: {problem}"));
        }
    }

    /// Hides what live shows of secrets where none belong: somebody typed them there. Names that
    /// git declares are its own.
    pub(crate) fn hide(&mut self, redactor: &Redactor) {
        for field in self.plan.changes.iter_mut().flat_map(|change| &mut change.fields) {
            if field.before.as_ref().is_some_and(|value| redactor.is_shown_by(value)) {
                field.before = Some(Value::from(SENSITIVE));
                field.sensitive = true;
            }
        }
        let unmanaged = self.states.iter_mut().filter(|known| known.state == State::Unmanaged);
        let names = unmanaged.map(|known| &mut known.name);
        for name in names.chain(self.plan.unmanaged.iter_mut().map(|(_, name)| name)) {
            if redactor.is_shown_in_name(name.as_str()) {
                *name = ConnectionName::new(SENSITIVE);
            }
        }
    }
}

impl Action {
    /// The order in which changes are made (rule 7); deletes come last.
    fn order(self) -> usize {
        match self {
            Self::Rename => 0,
            Self::Replace => 1,
            Self::Create => 2,
            Self::Update => 3,
            Self::Drift => 4,
            Self::Blocked => 5,
            Self::Delete => 6,
        }
    }
}

impl Summary {
    fn count(&mut self, entry: &Entry) {
        if let Some(change) = &entry.change {
            let counter = match change.action {
                Action::Create => Some(&mut self.create),
                Action::Update => Some(&mut self.update),
                Action::Replace => Some(&mut self.replace),
                Action::Rename => Some(&mut self.rename),
                Action::Delete => Some(&mut self.delete),
                Action::Blocked => Some(&mut self.blocked),
                Action::Drift => None,
            };
            counter.into_iter().for_each(|counter| *counter += 1);
            self.held += usize::from(change.held);
        }
        let is_quiet = entry.change.is_none() && entry.kept.is_empty() && !entry.adopted;
        let stands = matches!(entry.state, State::InSync | State::Degraded) && !entry.gone;
        self.unchanged += usize::from(is_quiet && stands);
        self.adopt += usize::from(entry.adopted);
        self.unmanaged += usize::from(entry.state == State::Unmanaged && !entry.gone);
        self.unverified += usize::from(entry.unverified);
    }
}

/// The changes that one run would make on its targets.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The commit that was read; `None` with `--worktree`.
    pub commit: Option<Commit>,
    /// The source in words: its path or url.
    pub source: String,
    /// One for each target, in the order of the config.
    pub targets: Vec<TargetPlan>,
}

/// The changes that one run would make on one target.
#[derive(Clone, Debug, Default)]
pub struct TargetPlan {
    /// The target's name in the config.
    pub name: String,
    /// The Apinizer project.
    pub project: String,
    /// The Manager's URL, without user info.
    pub url: String,
    /// The changes in the order in which they would be made; `blocked` and `drift` come last.
    pub changes: Vec<Change>,
    /// The counts.
    pub summary: Summary,
    /// The errors that stopped the target as a whole, or one document of it: one sentence each.
    pub errors: Vec<String>,
    /// The notices that come first, in every output: that deletes cannot be known without a state,
    /// that secrets were not compared, and the like.
    pub notices: Vec<String>,
    /// Live connections that git neither declares nor owns.
    pub unmanaged: Vec<(String, ConnectionName)>,
}

/// One change of one connection.
#[derive(Clone, Debug)]
pub struct Change {
    /// The action.
    pub action: Action,
    /// The connection's type; of a replace: the new one.
    pub type_name: String,
    /// The connection's name, as live spells it where it is live.
    pub name: ConnectionName,
    /// The name that a rename frees.
    pub previous_name: Option<ConnectionName>,
    /// Why, where the fields do not say it: `adopted`, the rule that holds or blocks it.
    pub reason: Option<String>,
    /// The exact way past what holds or blocks it.
    pub advice: Option<String>,
    /// The differences; none for a delete.
    pub fields: Vec<FieldChange>,
    /// A rule holds this delete or replace back.
    pub held: bool,
    /// Where git declares it; of a delete: nowhere.
    pub place: Option<Place>,
}

/// The action on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// POST.
    Create,
    /// PUT.
    Update,
    /// DELETE, then POST: another type under the same name.
    Replace,
    /// PUT with another name.
    Rename,
    /// DELETE.
    Delete,
    /// Nothing, since something is wrong with this connection.
    Blocked,
    /// Nothing, since the target only reports drift.
    Drift,
}

impl Action {
    /// The word for it in JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Rename => "rename",
            Self::Delete => "delete",
            Self::Blocked => "blocked",
            Self::Drift => "drift",
        }
    }
}

/// One field that differs. Its values are already fit to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// JSON pointer into the connection.
    pub path: String,
    /// Live's value; `None`: nothing. For a sensitive field the reference or `"(sensitive)"`.
    pub before: Option<Value>,
    /// Git's value; `None`: nothing. For a sensitive field the reference or `"(sensitive)"`.
    pub after: Option<Value>,
    /// Whether the values themselves are hidden.
    pub sensitive: bool,
    /// Who moved it.
    pub origin: Origin,
}

/// Who moved a field away from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A commit, a var, or a value of the environment.
    Git,
    /// A change on the server that git did not make.
    Drift,
    /// Both.
    Both,
}

/// The counts of a target's plan. A held delete or replace is counted under its action and
/// under `held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Connections to create.
    pub create: usize,
    /// Connections to update.
    pub update: usize,
    /// Connections to replace.
    pub replace: usize,
    /// Connections to rename.
    pub rename: usize,
    /// Connections to delete.
    pub delete: usize,
    /// Connections that are adopted without a write.
    pub adopt: usize,
    /// Deletes and replaces that a rule holds back.
    pub held: usize,
    /// Connections that are as git wants them.
    pub unchanged: usize,
    /// Connections that something is wrong with.
    pub blocked: usize,
    /// Live connections that git neither declares nor owns.
    pub unmanaged: usize,
    /// Connections with a secret that was never sent nor read back.
    pub unverified: usize,
}
