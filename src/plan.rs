//! What would change: the one model that text, JSON, markdown, page and metrics are views of.

use serde::Serialize;
use serde_json::Value;

use crate::document::Place;
use crate::name::ConnectionName;
use crate::source::Commit;

mod agreement;
pub mod body;
pub mod compare;
pub mod deletes;
pub mod equality;
mod filter;
mod ignored;
pub mod intents;
mod planner;
pub mod reading;
mod renames;
mod same;
pub mod saved;
mod state;

pub use agreement::{Agreement, agreement};
pub use filter::Filter;
pub(crate) use planner::{CREATE, RENAME, REPLACE};
pub use planner::{Planned, Situation, plan, whole_digest};
pub use state::{ConnectionState, State};

/// What one run would do on its targets.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The commit that was read; `None` with `--worktree`.
    pub commit: Option<Commit>,
    /// The source in words: its path or url.
    pub source: String,
    /// One for each target, in the order of the config.
    pub targets: Vec<TargetPlan>,
}

/// What one run would do on one target.
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
    /// What stopped the target as a whole, or one document of it: one sentence each.
    pub errors: Vec<String>,
    /// What has to be said first, in every output: that deletes cannot be known without a state,
    /// that secrets were not compared, and the like.
    pub notices: Vec<String>,
    /// Live connections that git neither declares nor owns.
    pub unmanaged: Vec<(String, ConnectionName)>,
}

/// One change of one connection.
#[derive(Clone, Debug)]
pub struct Change {
    /// What would be done.
    pub action: Action,
    /// The connection's type; of a replace: the new one.
    pub type_name: String,
    /// The connection's name, as live spells it where it is live.
    pub name: ConnectionName,
    /// The name that a rename frees.
    pub previous_name: Option<ConnectionName>,
    /// Why, where the fields do not say it: `taken over`, the rule that holds or blocks it.
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

/// What would be done with one connection.
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
    /// What live has; `None`: nothing. For a sensitive field the reference or `"(sensitive)"`.
    pub before: Option<Value>,
    /// What git wants; `None`: nothing. For a sensitive field the reference or `"(sensitive)"`.
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
    /// Somebody else, on the server.
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
    /// Connections that are taken over without a write.
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
