//! The decision of one reconcile about one connection, with its change and the change's result.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use strum::IntoStaticStr;

use super::ConnectionState;
use super::row::{Claim, Row};
use crate::desired::DesiredConnection;
use crate::document::Place;
use crate::live::LastEdit;
use crate::name::ConnectionName;
use crate::record::{LastCommit, Memory, Owned};
use crate::rules::Match;

/// One connection of a target as all reports show it: how it stands, its change, and the result.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: ConnectionName,
    /// Its type.
    pub type_name: String,
    /// How it stands.
    pub state: ConnectionState,
    /// Why, where the state does not say it.
    pub reason: Option<String>,
    /// A declared secret was neither sent nor read back.
    pub unverified: bool,
    /// When the tool last wrote it, in seconds since 1970.
    pub last_change: Option<i64>,
    /// The commit that last changed it.
    pub last_commit: Option<Arc<LastCommit>>,
    /// The change that would be made, or that is blocked. Boxed, since a daemon keeps the entry of every
    /// connection and most have none: unboxed it takes 9 MiB more for 300 targets of 100.
    pub change: Option<Box<Change>>,
    /// Differences in which live is kept: drift that is only reported, fields of a layer that is not
    /// there, fields that the server rewrites.
    pub kept: Vec<Change>,
    /// It enters the inventory without a write.
    pub adopted: bool,
    /// Its update writes a secret because the GET showed another value.
    pub read_back: bool,
}

/// Why a connection is held or blocked, and the exact way past it, where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Why {
    pub(crate) reason: String,
    pub(crate) advice: Option<String>,
}

impl Why {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: None }
    }

    pub(crate) fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// The decision of one reconcile about one connection: its entry, and what to remember.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) entry: Entry,
    /// It leaves the inventory, since live lacks it.
    pub(crate) leaves: bool,
    /// The memory from now on, where it changes.
    pub(crate) memory: Option<Memory>,
    /// The list does not show enough to decide whether a PUT would wipe something, or whether a replace
    /// could be undone: its own answer has to be read.
    pub(crate) needs_reading: bool,
    /// Secret fields that `GET` showed as git has them.
    pub(crate) proven_readable: Vec<String>,
    /// Notices that are said once.
    pub(crate) notices: Vec<String>,
}

impl Entry {
    /// An entry without a change.
    pub fn new(name: ConnectionName, type_name: String, state: ConnectionState) -> Self {
        Self {
            name,
            type_name,
            state,
            reason: None,
            unverified: false,
            last_change: None,
            last_commit: None,
            change: None,
            kept: Vec::new(),
            adopted: false,
            read_back: false,
        }
    }

    /// Tells when and by which commit the connection of the inventory was last written.
    pub(crate) fn tell_last_write(&mut self, owned: Option<&Owned>) {
        self.last_change = owned.and_then(|owned| owned.last_change);
        self.last_commit = owned.and_then(|owned| owned.last_commit.clone());
    }

    /// Its change, and the differences in which live is kept.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.change.as_deref().into_iter().chain(&self.kept)
    }

    /// The same, to be edited.
    pub(crate) fn changes_mut(&mut self) -> impl Iterator<Item = &mut Change> {
        self.change.as_deref_mut().into_iter().chain(&mut self.kept)
    }

    /// The way past what keeps its change back.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.changes().find_map(|change| change.advice.as_deref())
    }

    /// Holds its change.
    pub(crate) fn hold(&mut self, Why { reason, advice }: Why) {
        let Some(change) = &mut self.change else { return };
        (change.held, change.advice) = (true, advice);
        change.reason = Some(reason.clone());
        (self.state, self.reason) = (ConnectionState::Held, Some(reason));
    }

    /// Whether a secret is sent because the GET showed another value.
    pub(crate) fn sends_what_was_read_back(&self) -> bool {
        self.read_back && self.change.as_deref().is_some_and(Change::needs_call)
    }

    /// Whether its change deletes a connection.
    pub(crate) fn deletes(&self) -> bool {
        let action = self.change.as_ref().map(|change| change.action);
        matches!(action, Some(Action::Delete | Action::Replace))
    }

    /// Notes the result of its change, and how it stands since then: as the plan says where no call is made.
    pub(crate) fn end(&mut self, result: ChangeResult) {
        let is_called = self.change.as_deref().is_some_and(Change::needs_call);
        let stands = match &result {
            _ if !is_called => None,
            ChangeResult::Done | ChangeResult::NotNeeded => Some((ConnectionState::InSync, None)),
            ChangeResult::Degraded(why) => Some((ConnectionState::Degraded, Some(why))),
            ChangeResult::Failed(why) => Some((ConnectionState::Failed, Some(why))),
            ChangeResult::Blocked(why) => Some((ConnectionState::Blocked, Some(why))),
            ChangeResult::Held(why) => Some((ConnectionState::Held, Some(why))),
            ChangeResult::Reported | ChangeResult::NotStarted => None,
        };
        if let Some((state, reason)) = stands {
            (self.state, self.reason) = (state, reason.cloned());
        }
        if let Some(change) = &mut self.change {
            change.result = Some(result);
        }
    }

    /// Whether the run deleted it.
    pub fn is_deleted(&self) -> bool {
        let is_delete = |change: &Change| change.action == Action::Delete;
        self.state == ConnectionState::InSync && self.change.as_deref().is_some_and(is_delete)
    }
}

impl Decision {
    /// A decision that changes nothing.
    pub(crate) fn new(row: &Row<'_>, state: ConnectionState, reason: Option<String>) -> Self {
        let name = match row.wanted() {
            Some(desired) => desired.name.clone(),
            None => row.view().map_or_else(|| row.name.clone(), |view| view.listed.name.clone()),
        };
        Self {
            entry: Entry { reason, ..Entry::new(name, row.type_name().to_owned(), state) },
            leaves: false,
            memory: None,
            needs_reading: false,
            proven_readable: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The same with a change.
    pub(crate) fn with(mut self, change: Change) -> Self {
        self.entry.change = Some(Box::new(change));
        self
    }

    /// A decision that blocks the connection.
    pub(crate) fn blocked(row: &Row<'_>, Why { reason, advice }: Why) -> Self {
        let (action, told) = (Action::Blocked, Some(reason.clone()));
        let blocked = Change { action, reason: told, advice, ..Change::of(row) };
        Self::new(row, ConnectionState::Blocked, Some(reason)).with(blocked)
    }

    /// A decision that no longer tries what came to nothing.
    pub(crate) fn not_converging(row: &Row<'_>, why: impl Into<String>) -> Self {
        let mut decision = Self::blocked(row, Why::new(why));
        decision.entry.state = ConnectionState::NotConverging;
        decision
    }

    /// The memory to be changed: the row's own if nothing changed it yet.
    pub(crate) fn memory(&mut self, row: &Row<'_>) -> &mut Memory {
        self.memory.get_or_insert_with(|| row.memory.cloned().unwrap_or_default())
    }
}

impl Change {
    /// A change of a row's connection, to be filled in.
    pub(crate) fn of(row: &Row<'_>) -> Self {
        let desired = row.wanted();
        let is_freed = matches!(row.claim, Some(Claim::Frees(_)));
        let live = row.view().filter(|_| !is_freed).map(|view| &view.listed.name);
        // Live's spelling stays.
        let name = live.or(desired.map(|d| &d.name)).unwrap_or(row.name).clone();
        let place = desired.map(|desired| desired.place.clone());
        Self { place, ..Self::bare(Action::Update, row.type_name().to_owned(), name) }
    }
}

/// One change of one connection, with the keys that JSON has.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The action.
    pub action: Action,
    /// The connection's type; of a replace: the new one.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The connection's name, as live spells it where it is live.
    pub name: ConnectionName,
    /// The name that a rename frees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_name: Option<ConnectionName>,
    /// Why, where the fields do not say it: `adopted`, the rule that holds or blocks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The exact way past what holds or blocks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The differences; of a delete the values that go.
    pub fields: Vec<FieldChange>,
    /// A rule holds it back.
    pub held: bool,
    /// The rules of the user that match it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Match>,
    /// Where somebody else moved fields: the last edit that the server tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited: Option<LastEdit>,
    /// Where git declares it; of a delete: nowhere.
    #[serde(flatten, serialize_with = "file_and_line")]
    pub place: Option<Place>,
    /// Its result; `None`: it was only planned.
    #[serde(flatten)]
    pub result: Option<ChangeResult>,
}

/// Writes a place as two keys, which are `null` where there is none.
fn file_and_line<S: Serializer>(place: &Option<Place>, serializer: S) -> Result<S::Ok, S::Error> {
    let place = place.as_ref();
    let (file, line) = (place.map(|place| &*place.file), place.map(|place| place.line));
    json!({"file": file, "line": line}).serialize(serializer)
}

/// The result of one change; in JSON a word, and why it did not simply succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "message", rename_all = "snake_case")]
pub enum ChangeResult {
    /// It was made.
    Done,
    /// Live was found to be as git wants it: nothing was sent.
    #[serde(rename = "unchanged")]
    NotNeeded,
    /// It was saved, but the workers did not get it: which, and why.
    Degraded(String),
    /// The call failed: what the server said.
    Failed(String),
    /// Something is wrong with this connection; nothing was sent.
    Blocked(String),
    /// It is due, and a rule or a suspension keeps it back.
    Held(String),
    /// Drift that is only reported.
    #[serde(rename = "drift")]
    Reported,
    /// The run ended before its turn.
    NotStarted,
}

impl Change {
    /// A change of nothing yet.
    pub(crate) fn bare(action: Action, type_name: String, name: ConnectionName) -> Self {
        Self {
            action,
            type_name,
            name,
            previous_name: None,
            reason: None,
            advice: None,
            fields: Vec::new(),
            held: false,
            rules: Vec::new(),
            place: None,
            edited: None,
            result: None,
        }
    }

    /// Whether a call makes it: nothing holds or blocks it, and it is more than a report.
    pub fn needs_call(&self) -> bool {
        !self.held && self.action.is_write()
    }

    /// Whether it was made.
    pub fn is_made(&self) -> bool {
        self.result == Some(ChangeResult::Done)
    }

    /// Whether a call was sent for it, however that ended.
    pub(crate) fn was_sent(&self) -> bool {
        use ChangeResult::{Degraded, Done, Failed};
        matches!(self.result, Some(Done | Degraded(_) | Failed(_)))
    }

    /// Whether git asked for it, and not only somebody else who moved fields.
    pub(crate) fn is_of_git(&self) -> bool {
        let is_of_git = |field: &FieldChange| field.origin != Origin::Drift;
        matches!(self.action, Action::Rename | Action::Replace) || self.fields.iter().any(is_of_git)
    }

    /// The fields that somebody else moved, as JSON pointers.
    pub(crate) fn drifted_fields(&self) -> impl Iterator<Item = &String> {
        let drifted = self.fields.iter().filter(|field| field.origin != Origin::Git);
        drifted.map(|field| &field.path)
    }

    /// Its result where no call is made.
    pub(crate) fn without_call(&self) -> ChangeResult {
        let reason = || self.reason.clone().unwrap_or_default();
        match self.action {
            Action::Blocked => ChangeResult::Blocked(reason()),
            Action::Drift => ChangeResult::Reported,
            _ if self.held => ChangeResult::Held(reason()),
            _ => ChangeResult::NotStarted,
        }
    }
}

impl ChangeResult {
    /// Whether live is as the change wants it, or nothing more is to be made of it.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Done | Self::NotNeeded | Self::Reported)
    }

    /// Whether the server took it, deployed or not.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self, Self::Done | Self::Degraded(_))
    }
}

/// The action on one connection, in the order in which changes are made and told (rule 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    /// PUT with another name.
    Rename,
    /// DELETE, then POST: another type under the same name.
    Replace,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// Nothing, and live's value is kept: drift is only reported, a layer is not there, or the server
    /// rewrites the field.
    Drift,
    /// Nothing, since something is wrong with this connection.
    Blocked,
    /// DELETE.
    Delete,
}

impl Action {
    /// Whether a call makes it, unless something holds it.
    pub(crate) fn is_write(self) -> bool {
        !matches!(self, Self::Blocked | Self::Drift)
    }

    /// The word for it in JSON and logs.
    pub fn into_str(self) -> &'static str {
        self.into()
    }
}

/// One field that differs. Its values are already fit to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// JSON pointer into the connection.
    pub path: String,
    /// Live's value, `"(sensitive)"` where that is concealed; `None`: nothing. Of a sensitive field that git alone
    /// moved: git's older text.
    pub before: Option<Value>,
    /// Git's value; `None`: nothing. For a sensitive field the reference or `"(sensitive)"`.
    pub after: Option<Value>,
    /// Whether the values themselves are concealed.
    pub sensitive: bool,
    /// Who moved it.
    pub origin: Origin,
    /// Git's value when both last agreed, where both moved it since; as git has it, without
    /// secrets that are written out in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Value>,
}

/// Who moved a field away from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Origin {
    /// A commit, a var, or a value of the environment.
    Git,
    /// A change on the server that git did not make.
    Drift,
    /// Both.
    Both,
}

/// The attempts that are counted where nothing comes of them, by the pointer that they are kept under.
pub(crate) mod attempt {
    /// Creates of a connection that never shows up.
    pub(crate) const CREATE: &str = "";
    /// A replace that the server refused.
    pub(crate) const REPLACE: &str = "/type";
    /// A rename that the server takes and does not make.
    pub(crate) const RENAME: &str = "/name";
}

/// All that is declared, with the values of its references: what came to nothing with it is tried again
/// with something else.
pub(crate) fn all_declared(desired: &DesiredConnection) -> Value {
    let fields = desired.fields.iter().map(|field| {
        let value = field.value().unwrap_or(&field.declared);
        (field.path.clone(), value.clone())
    });
    let type_name = ("type".to_owned(), desired.connection_type.name.into());
    Value::Object(fields.chain([type_name]).collect())
}

/// Why a lost path holds something.
pub(crate) fn lost_path_in_words(path: &str) -> Why {
    let reason =
        format!("held: the path `{path}` declared connections before and is missing or empty now");
    Why::new(reason).advice(ALLOW_DELETES)
}

/// The way past a limit and an absent path.
pub(crate) const ALLOW_DELETES: &str = "run `apinizer-gitops apply --allow-deletes`, or commit with \
                                        the trailer `Allow-Deletes: true`";
