//! One change of one connection, and its result.

use serde::Serialize;
use serde_json::Value;

use crate::document::Place;
use crate::live::Edit;
use crate::name::ConnectionName;
use crate::rules::Match;

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
    /// A rule holds it back.
    pub held: bool,
    /// The rules of the user that match it.
    pub rules: Vec<Match>,
    /// Where git declares it; of a delete: nowhere.
    pub place: Option<Place>,
    /// Where somebody else moved fields: the last edit that the server tells of.
    pub edited: Option<Edit>,
    /// Its result; `None`: it was only planned.
    pub result: Option<ChangeResult>,
}

/// The result of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResult {
    /// It was made.
    Done,
    /// Live was found to be as git wants it: nothing was sent.
    NotNeeded,
    /// It was saved, but the workers did not get it: which, and why.
    Degraded(String),
    /// The call failed: what the server said.
    Failed(String),
    /// Something is wrong with this connection; nothing was sent.
    Blocked(String),
    /// A rule of deletes holds it back.
    Held(String),
    /// Drift that is only reported.
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
    pub fn is_sent(&self) -> bool {
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
    /// Whether a call makes it, unless something holds it.
    pub(crate) fn is_write(self) -> bool {
        !matches!(self, Self::Blocked | Self::Drift)
    }

    /// The order in which changes are made (rule 7); deletes come last.
    pub(super) fn order(self) -> usize {
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

    /// The word for it in JSON and logs.
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
    /// Git's value when both last agreed, where both moved it since; as git has it, so never hidden.
    pub base: Option<Value>,
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
