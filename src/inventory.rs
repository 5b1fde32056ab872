//! What the tool remembers of a target between two reconciles: the inventory with its base, and
//! what was noted, held, degraded or given up. Plain values; [`crate::state`] keeps them on disk.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::name::{CommitId, ConnectionName};
use crate::secret::{Fingerprint, FingerprintKey};

mod base;
mod shared;

pub use base::Base;
pub use shared::Shared;

/// After how many PUTs of one value that live does not show the tool gives a field up.
const PUTS_BEFORE_GIVING_UP: u32 = 2;

/// After how many it does so although live showed the value between them, while something else of
/// the connection did not agree then.
const PUTS_IN_TURNS: u32 = 8;

/// All that is remembered of one URL and project. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// The newest commit that loaded whole and that the tool began to apply.
    pub last_good: Option<GoodCommit>,
    /// The newest commit of which nothing failed and nothing was held.
    pub last_applied: Option<CommitId>,
    /// Tells whether fingerprints were made under today's key.
    pub key_check: Option<String>,
    /// The connections that the tool itself created or took over.
    pub inventory: Shared<BTreeMap<ConnectionName, Owned>>,
    /// Creates and renames whose call may have been sent, by the new name.
    pub intents: BTreeMap<ConnectionName, Intent>,
    /// Deletes that a commit asked for and that are not done.
    pub deletes: BTreeMap<ConnectionName, DeleteNote>,
    /// Connections that were saved but not deployed.
    pub degraded: BTreeMap<ConnectionName, Degraded>,
    /// Fields that were written and did not stay, by pointer.
    pub unstable: BTreeMap<ConnectionName, BTreeMap<String, Unstable>>,
    /// Secret fields that `GET` was seen to show in full, by type.
    pub readable: BTreeMap<String, BTreeSet<String>>,
    /// Whether somebody suspended the target.
    pub suspended: bool,
    /// The commits whose trailer consented to deletes: each does so once, wherever the branch is
    /// moved to and back.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub consented: BTreeSet<CommitId>,
}

/// What a commit declared for a target when it was last good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodCommit {
    /// The commit.
    pub commit: CommitId,
    /// The digest of the config that decided which files were read, and how.
    pub config: String,
    /// Each declared name with the files that had a say in it.
    pub declared: Shared<BTreeMap<ConnectionName, Box<[String]>>>,
    /// The old names of its renames, by the new ones: until one is done, the commit counts as
    /// declaring the old name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renames: BTreeMap<ConnectionName, ConnectionName>,
    /// The declared types of names that the inventory has with another one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<ConnectionName, String>,
    /// How many documents each configured path held.
    pub paths: BTreeMap<String, usize>,
}

/// One connection of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The server's id, where it shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Git's value of each field when live last agreed with it, by JSON pointer.
    #[serde(default)]
    pub base: Base,
    /// `protect` as it was last declared; it outlives its document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// When its secrets were last written or read back, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_checked: Option<i64>,
    /// When the tool last wrote it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<i64>,
}

/// The base of one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseField {
    /// What git declared; a field with a reference is kept as the text of the reference.
    #[serde(rename = "is")]
    pub declared: Value,
    /// Of a field with a reference: the fingerprint of the value that was written or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Fingerprint>,
    /// The value was neither sent nor read back: its fingerprint is of the value first seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

/// A create or rename that is noted before its call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The connection's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name that a rename frees; `None`: a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ConnectionName>,
    /// What was sent, as the base that its success leaves.
    pub base: Base,
    /// The fields in which a rename keeps what live has: their base is the older one, and tells
    /// nothing of whether the call arrived.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept: BTreeSet<String>,
    /// `protect` as it was declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
}

/// A delete that a commit asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteNote {
    /// The commit in which the name was first seen missing; `None`: the working tree, or it is not
    /// known whether a commit removed it.
    pub commit: Option<CommitId>,
    /// The last good commit of then, which still declared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_in: Option<CommitId>,
    /// A commit's trailer or the flag let it past the limit and the path rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consent: bool,
    /// The commit with that trailer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented_by: Option<CommitId>,
    /// The limit that held it, kept so that a later, larger inventory does not free it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<DeleteHold>,
    /// A path that was missing or empty when the delete was due, kept since the last good commit
    /// moves on and no longer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptied: Option<String>,
    /// The name that was to be renamed from it by the same commit: while that is declared and was
    /// not done, since both names were there, nothing is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<ConnectionName>,
    /// Only what holds it is remembered: it is not known that a commit asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undue: bool,
    /// Of a replace: the type that takes the place. A consent to one is none to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<String>,
}

impl DeleteNote {
    /// A note of a delete that no commit is known to have asked for.
    #[must_use]
    pub fn not_due() -> Self {
        Self { undue: true, ..Self::default() }
    }

    /// Whether a commit removed the name; one that changed its type asks for a replace.
    #[must_use]
    pub fn asks_for_a_delete(&self) -> bool {
        !self.undue && self.becomes.is_none()
    }

    /// Whether a commit gave the name that type.
    #[must_use]
    pub fn asks_for_a_replace(&self, becomes: &str) -> bool {
        !self.undue && self.becomes.as_deref() == Some(becomes)
    }
}

/// Why a due delete is held until somebody says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DeleteHold {
    /// More deletes were due than `max_deletes` allows.
    Limit {
        /// How many were due.
        due: usize,
        /// How many were allowed.
        allowed: usize,
        /// How many connections the inventory held.
        inventory: usize,
    },
    /// A path that declared something is missing or empty.
    Path {
        /// The path.
        path: String,
    },
}

/// How long a connection that was not deployed waits at most until it is written again, in
/// seconds.
pub const LONGEST_PAUSE: i64 = 60 * 60;

/// A connection that was saved but not deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degraded {
    /// What the server said, redacted.
    pub reason: String,
    /// How often it was written since.
    pub attempts: u32,
    /// When the daemon writes it again, in seconds since 1970.
    pub next: i64,
    /// It was a delete: it is reported and not sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The type of what was deleted: nothing else knows it any more.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_name: String,
}

/// A field that was written and may not stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unstable {
    /// The fingerprint of the value that was written.
    pub print: Fingerprint,
    /// How many PUTs carried it without live agreeing since.
    pub puts: u32,
    /// How many carried it since the connection last had nothing to write: of fields that push each
    /// other aside, each agrees in its turn.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub puts_in_turns: u32,
    /// It was reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
}

impl Unstable {
    /// Whether it is not written again.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.puts >= PUTS_BEFORE_GIVING_UP || self.puts_in_turns >= PUTS_IN_TURNS
    }

    fn count(&mut self) {
        self.puts = self.puts.saturating_add(1);
        self.puts_in_turns = self.puts_in_turns.saturating_add(1);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    /// Whether the field of that type was seen to be shown in full by `GET`.
    #[must_use]
    pub fn is_readable(&self, type_name: &str, path: &str) -> bool {
        self.readable.get(type_name).is_some_and(|fields| fields.contains(path))
    }

    /// Counts one more write of a value that may not stay.
    pub fn count(
        &mut self,
        name: &ConnectionName,
        path: &str,
        wanted: &Value,
        key: &FingerprintKey,
    ) {
        let fields = self.unstable.entry(name.clone()).or_default();
        match fields.get_mut(path) {
            Some(known) if key.matches(&known.print, path, wanted) => {
                known.count();
            }
            _ => {
                let print = key.of(path, wanted);
                let mut first = Unstable { print, puts: 0, puts_in_turns: 0, reported: false };
                first.count();
                fields.insert(path.to_owned(), first);
            }
        }
    }

    /// Forgets all that belongs to a name.
    pub fn forget(&mut self, name: &ConnectionName) -> bool {
        self.intents.remove(name);
        self.free(name)
    }

    /// Forgets the connection that had a name which a rename frees. A call that takes the name anew
    /// keeps its note: a run that dies right after it would leave an orphan.
    pub fn free(&mut self, name: &ConnectionName) -> bool {
        self.deletes.remove(name);
        self.degraded.remove(name);
        self.unstable.remove(name);
        self.inventory.remove(name).is_some()
    }
}
