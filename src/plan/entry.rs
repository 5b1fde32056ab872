//! The decision of one pass about one connection.

use super::row::{Claim, Row};
use super::{Action, Change, State};
use crate::desired::DesiredConnection;
use crate::name::ConnectionName;
use crate::record::{Memory, Unstable};

/// The decision of one pass about one connection: how it stands, the change, and what to remember.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: ConnectionName,
    pub(crate) type_name: String,
    pub(crate) state: State,
    /// Why, where the state does not say it.
    pub(crate) reason: Option<String>,
    /// A declared secret was neither sent nor read back.
    pub(crate) unverified: bool,
    /// The change that would be made, or that is blocked.
    pub(crate) change: Option<Change>,
    /// Differences in which live is kept: drift that is only reported, fields that the server
    /// rewrites.
    pub(crate) kept: Vec<Change>,
    /// It enters the inventory without a write.
    pub(crate) adopted: bool,
    /// It leaves the inventory, since it is gone.
    pub(crate) gone: bool,
    /// The memory from now on, where it changes.
    pub(crate) memory: Option<Memory>,
    /// Its own answer has to be read to know whether a PUT would wipe something.
    pub(crate) needs_reading: bool,
    /// Its update writes a secret since another one was read back.
    pub(crate) read_back: bool,
    /// Secret fields that `GET` showed as git has them.
    pub(crate) proven_readable: Vec<String>,
    /// A notice that is said once.
    pub(crate) notice: Option<String>,
}

impl Entry {
    /// An entry without a change.
    pub(crate) fn new(row: &Row<'_>, state: State, reason: Option<String>) -> Self {
        let view = row.view();
        let type_name = row.type_name().to_owned();
        let name = match row.wanted() {
            Some(desired) => desired.name.clone(),
            None => view.map_or_else(|| row.name.clone(), |view| view.entry.name.clone()),
        };
        Self {
            name,
            type_name,
            state,
            reason,
            unverified: false,
            change: None,
            kept: Vec::new(),
            adopted: false,
            gone: false,
            memory: None,
            needs_reading: false,
            read_back: false,
            proven_readable: Vec::new(),
            notice: None,
        }
    }

    /// An entry whose change is blocked.
    pub(crate) fn blocked(row: &Row<'_>, reason: String, advice: Option<String>) -> Self {
        let blocked = Change {
            action: Action::Blocked,
            reason: Some(reason.clone()),
            advice,
            ..Change::of(row)
        };
        Self { change: Some(blocked), ..Self::new(row, State::Blocked, Some(reason)) }
    }

    /// The memory to be changed: the row's own if nothing changed it yet.
    pub(crate) fn memory(&mut self, row: &Row<'_>) -> &mut Memory {
        self.memory.get_or_insert_with(|| row.memory.cloned().unwrap_or_default())
    }

    /// Drops a change of memory that changes nothing.
    pub(crate) fn settle_memory(&mut self, row: &Row<'_>) {
        let is_same = |memory: &mut Memory| match row.memory {
            Some(known) => memory == known,
            None => memory.is_empty(),
        };
        self.memory.take_if(|memory| is_same(memory));
    }

    /// Holds its change, with the reason and the way past it.
    pub(crate) fn hold(&mut self, reason: String, advice: Option<String>) {
        let Some(change) = &mut self.change else { return };
        change.held = true;
        change.advice = advice;
        change.reason = Some(match (change.action, change.reason.take()) {
            (Action::Replace, Some(type_change)) => format!("{type_change}; {reason}"),
            _ => reason.clone(),
        });
        self.state = State::Held;
        self.reason = Some(reason);
    }

    /// Whether its change deletes a connection.
    pub(crate) fn deletes(&self) -> bool {
        let action = self.change.as_ref().map(|change| change.action);
        matches!(action, Some(Action::Delete | Action::Replace))
    }
}

impl Change {
    /// A change of a row's connection, to be filled in.
    pub(crate) fn of(row: &Row<'_>) -> Self {
        let desired = row.wanted();
        let is_freed = matches!(row.claim, Some(Claim::Frees(_)));
        let live = row.view().filter(|_| !is_freed).map(|view| &view.entry.name);
        Self {
            action: Action::Update,
            type_name: row.type_name().to_owned(),
            // Live's spelling stays.
            name: live.or(desired.map(|d| &d.name)).unwrap_or(row.name).clone(),
            previous_name: None,
            reason: None,
            advice: None,
            fields: Vec::new(),
            held: false,
            place: desired.map(|desired| desired.place.clone()),
        }
    }
}

/// The steps that are counted where nothing comes of them, by the pointer that they are kept under.
pub(crate) mod step {
    /// Creates of a connection that never shows up.
    pub(crate) const CREATE: &str = "";
    /// A replace that the server refused.
    pub(crate) const REPLACE: &str = "/type";
    /// A rename that the server takes and does not make.
    pub(crate) const RENAME: &str = "/name";
}

/// The digest that decides whether a step that came to nothing is tried again: all that is
/// declared, with the values of its references.
pub(crate) fn whole_digest(desired: &DesiredConnection) -> serde_json::Value {
    let fields = desired.fields.iter().map(|field| {
        let value = field.value().unwrap_or(&field.declared);
        (field.path.clone(), value.clone())
    });
    let type_name = ("type".to_owned(), desired.connection_type.name.into());
    serde_json::Value::Object(fields.chain([type_name]).collect())
}

impl Unstable {
    /// Whether a step came to nothing often enough for what is declared today.
    pub(crate) fn came_to_nothing(
        &self,
        step: &str,
        desired: &DesiredConnection,
        key: &crate::secret::FingerprintKey,
    ) -> bool {
        self.is_given_up(key, step, None) && key.matches(&self.print, step, &whole_digest(desired))
    }
}

/// Why a lost path holds something, and the way past it.
pub(crate) fn lost_path_in_words(path: &str) -> (String, String) {
    let reason =
        format!("held: the path `{path}` declared connections before and is missing or empty now");
    (reason, way_past())
}

/// The way past a limit or a lost path.
pub(crate) fn way_past() -> String {
    "run `apinizer-gitops apply --allow-deletes`, or commit with the trailer `Allow-Deletes: true`"
        .to_owned()
}
