//! The memory of a target between two reconciles. [`crate::state`] keeps it on disk.
//!
//! Everything about one connection lies in its [`Memory`]; the rest of the [`Record`] is about the
//! target as a whole. No secret is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::Field;
use crate::live::LiveConnection;
use crate::name::{CommitId, ConnectionName};
use crate::secret::{Fingerprint, FingerprintKey};

mod due;
mod version_1;

pub(crate) use due::{AskedBy, Due, DueStep, OverLimit};
pub(crate) use version_1::Record as RecordOfVersion1;

/// How many commits are remembered whose consent is used up. They count again only where the last good commit
/// goes back behind so many.
const USED_CONSENTS: usize = 1_000;

/// All that is remembered of one URL and project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// The last commit that loaded whole and that the tool began to apply.
    pub last_good: Option<GoodCommit>,
    /// The last commit that was applied whole: nothing failed, was held, blocked or left, and nothing
    /// waits to be deployed.
    pub last_applied: Option<CommitId>,
    /// Tells whether fingerprints were made under today's key.
    pub key_check: Option<String>,
    /// The memory of each connection. Each is shared between the record as it was
    /// read, as the plan leaves it and as it is being written, until one of them changes it.
    pub connections: BTreeMap<ConnectionName, Arc<Memory>>,
    /// Secret fields that `GET` was seen to show in full.
    pub readable: ReadableSecrets,
    /// Whether the target is suspended.
    pub suspended: bool,
    /// When the state before this one was found to be gone, in seconds since 1970; told until a second
    /// commit is applied whole: the first one takes up what is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<i64>,
    /// The commits whose trailer consented to something, the newest last: each does so once.
    pub consented: Vec<CommitId>,
    /// The commits that were applied whole, the newest last, for the targets that come after this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub soaks: Vec<Soak>,
}

/// For how long a commit stood applied whole: nothing of it failed, was held, blocked or degraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// The commit.
    pub commit: CommitId,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// Until when reconciles found it so, likewise: time in which none looked counts only once one has.
    #[serde(rename = "seen")]
    pub until: i64,
    /// Whether it stands so no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_over: bool,
}

impl Soak {
    /// For how long reconciles found it so.
    pub(crate) fn lasted(&self) -> std::time::Duration {
        let seconds = self.until.saturating_sub(self.since);
        std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

/// Secret fields that `GET` was seen to show in full, by type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadableSecrets(BTreeMap<String, BTreeSet<String>>);

impl ReadableSecrets {
    /// Whether the field of that type is one.
    pub fn has(&self, type_name: &str, path: &str) -> bool {
        self.0.get(type_name).is_some_and(|fields| fields.contains(path))
    }

    /// Whether any field of that type is one.
    pub fn has_type(&self, type_name: &str) -> bool {
        self.0.get(type_name).is_some_and(|fields| !fields.is_empty())
    }

    /// Adds a field that was shown as git has it.
    pub fn add(&mut self, type_name: &str, path: String) {
        self.0.entry(type_name.to_owned()).or_default().insert(path);
    }

    /// Takes a field out that is not shown any more.
    pub fn remove(&mut self, type_name: &str, path: &str) {
        if let Some(fields) = self.0.get_mut(type_name) {
            fields.remove(path);
        }
    }
}

/// The memory of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Its entry in the inventory: the tool created or adopted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned: Option<Owned>,
    /// The document with `protect` that is to rename the connection, and did not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_by: Option<ConnectionName>,
    /// A call that may have been sent, and whose answer was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// A delete or replace that is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// It was saved but not deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Degraded>,
    /// Fields that were written and may not stay, by pointer, and attempts of which nothing came (see
    /// `plan::attempt`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unstable: BTreeMap<String, Unstable>,
    /// The consents of commits to the change that is due, by the rule of the user that holds it.
    #[serde(rename = "allowed", skip_serializing_if = "BTreeMap::is_empty")]
    pub consents: BTreeMap<String, Consent>,
}

/// The consent of a commit to one change that a rule of the user holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The commit whose trailer consented.
    pub by: CommitId,
    /// The digest of the change: another one has to be consented to by itself.
    pub change: String,
}

/// The base of a connection: git's value of each field when live last agreed with it, by pointer.
pub(crate) type Base = BTreeMap<String, BaseField>;

/// The declarations of a commit for a target when it was last good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodCommit {
    /// The commit.
    pub commit: CommitId,
    /// The digest of the config that decided which files were read, and how.
    pub config: String,
    /// Each declared connection; shared by the records of one reconcile.
    pub declared: Arc<BTreeMap<ConnectionName, DeclaredThen>>,
    /// How many documents each configured path held. A lost path keeps its last count; a run since then
    /// that looked at a part of a commit only raises one.
    pub paths: BTreeMap<String, usize>,
    /// Connections in which files had a say, beside those of `declared`: of runs since then that looked at a
    /// part of a commit, and those that a file took out of the target.
    #[serde(rename = "seen", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<ConnectionName, DeclaredThen>,
    /// Names of `declared` that left the inventory since then, by `forget` or in a run that looked at a part:
    /// the commit declared no connection that is made later under one of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<ConnectionName>,
    /// Paths of earlier good commits that are lost or unread, with the names that they touched.
    #[serde(rename = "unread_paths", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent_paths: BTreeMap<String, BTreeSet<ConnectionName>>,
}

/// A connection that a commit declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredThen {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The files that declared it, layer by layer.
    pub files: Vec<String>,
    /// The name that its document renames it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<ConnectionName>,
}

/// One connection of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The server's id, where it shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Git's value of each field when live last agreed with it; shared until a comparison changes it.
    #[serde(default)]
    pub base: Arc<Base>,
    /// `protect` as it was last declared; it outlives its document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// `renamedFrom` of its document when live was last compared with it: that rename is done, or was not
    /// needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<ConnectionName>,
    /// When its secrets were last written or read back, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_checked: Option<i64>,
    /// Fingerprints of secrets that git does not declare, as `GET` showed them when their field was
    /// proven readable, or as they were last sent while git declared them: what still equals one of these
    /// may be sent back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown_secrets: BTreeMap<String, Fingerprint>,
    /// When the tool last wrote it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<i64>,
    /// The commit that last changed it. What corrects drift is not told of here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Arc<LastCommit>>,
}

/// The commit that last changed a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastCommit {
    /// Its id.
    pub id: CommitId,
    /// Who wrote it, `Name <mail>`.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// The base of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseField {
    /// The declared value; a field with a reference is kept as the text of the reference.
    #[serde(rename = "is")]
    pub declared: Value,
    /// Of a field with a reference: the fingerprint of the value that was written or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Fingerprint>,
    /// The value was neither sent nor read back: its fingerprint is of the value first seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

/// The note of a call that changes a connection, made before the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The purpose of the call.
    #[serde(default, skip_serializing_if = "NotedCall::is_make")]
    pub call: NotedCall,
    /// The connection's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The name that a rename frees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ConnectionName>,
    /// The base that success leaves; of a delete, the base of what is deleted.
    pub base: Base,
    /// The fields that prove nothing, whatever git's values are: of an update those that live showed before as they were to
    /// become, and else those in which the connection that is there before the call had drifted.
    #[serde(rename = "kept", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub proves_nothing: BTreeSet<String>,
    /// Fingerprints of the values that the list showed in fields that had drifted: that connection has them still.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shown: BTreeMap<String, Fingerprint>,
    /// The commit that asked for the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// `protect` as it was declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
}

/// The purpose of a noted call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotedCall {
    /// Git's connection is made under the name, by a create, a replace or a rename.
    #[default]
    Make,
    /// The connection that a replace deleted is made again.
    WayBack,
    /// The connection of the name is updated.
    Update,
    /// It is deleted.
    Delete,
}

impl NotedCall {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_make(&self) -> bool {
        *self == Self::Make
    }
}

/// How long a connection that was not deployed waits at most until it is written again, in
/// seconds.
pub(crate) const LONGEST_PAUSE: i64 = 60 * 60;

/// A connection that was saved but not deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degraded {
    /// The server's words, redacted.
    pub reason: String,
    /// How often it was written since.
    pub attempts: u32,
    /// When the daemon writes it again, in seconds since 1970.
    pub next: i64,
    /// Of a delete, which is reported and not sent again: the type of the deleted connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
}

impl Degraded {
    /// Whether it is written again now. A clock that was set back does not put the write off for
    /// longer than any pause.
    pub fn is_due(&self, now: i64) -> bool {
        self.next <= now || self.next > now.saturating_add(LONGEST_PAUSE)
    }
}

/// After how many PUTs of one value the tool gives a field up, if live shows the same other value
/// after the last as after the one before.
const PUTS_BEFORE_GIVING_UP: u32 = 2;

/// After how many PUTs in a row it gives a field up whatever live shows: of fields that push each
/// other aside each agrees in its turn, and a server may answer with another value each time.
const PUTS_IN_A_ROW: u32 = 8;

/// A field that was written and may not stay. One that is given up is shown as not converging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unstable {
    /// The fingerprint of the value that was written.
    pub print: Fingerprint,
    /// The value that live showed before the last PUT; an attempt without a value of its own shows
    /// `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Fingerprint>,
    /// How many PUTs carried it without live agreeing since.
    pub puts: u32,
    /// How many carried it since the connection last had nothing to write.
    #[serde(default, alias = "puts_in_turns", skip_serializing_if = "is_zero")]
    pub puts_in_a_row: u32,
    /// It was given up, which was said.
    #[serde(default, alias = "reported", skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
}

impl Unstable {
    /// Whether the value is not written again, where live shows `live` now.
    pub fn is_given_up(&self, key: &FingerprintKey, path: &str, live: Option<&Value>) -> bool {
        let live = live.unwrap_or(&Value::Null);
        // A record of an older program does not have what live showed.
        let is_the_same = self.shown.as_ref().is_none_or(|shown| key.matches(shown, path, live));
        self.given_up
            || (self.puts >= PUTS_BEFORE_GIVING_UP && is_the_same)
            || self.puts_in_a_row >= PUTS_IN_A_ROW
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Owned {
    /// Whether a live connection may be the one of this entry: of its type and, where both
    /// are known, of its id. Whether it is one whose id was not known yet, `plan::compare` tells.
    pub fn may_be(&self, live: &LiveConnection) -> bool {
        let same_id = match (&self.id, &live.id) {
            (Some(known), Some(shown)) => known == shown,
            _ => true,
        };
        same_id && self.type_name == live.type_name
    }

    /// The fingerprints of its secrets that were sent or read back, by pointer.
    pub fn verified_secrets(&self) -> impl Iterator<Item = (&String, &Fingerprint)> {
        let own_type = crate::catalog::find(&self.type_name);
        let is_secret = move |path: &str| {
            let name = path.trim_start_matches('/');
            own_type.and_then(|own_type| own_type.field(name)).is_some_and(Field::is_secret)
        };
        let verified = self.base.iter().filter(move |(path, f)| !f.unverified && is_secret(path));
        verified.filter_map(|(path, field)| Some((path, field.print.as_ref()?)))
    }

    /// The secrets that may be sent back while live shows them: as `GET` showed them when it was
    /// proven to show them in clear, or as they were sent last.
    pub(crate) fn known_secrets(&self) -> BTreeMap<String, Fingerprint> {
        let sent = self.verified_secrets().map(|(path, print)| (path.clone(), print.clone()));
        self.shown_secrets.clone().into_iter().chain(sent).collect()
    }

    /// Whether live shows a secret that may be sent back.
    pub(crate) fn knows_secret(&self, path: &str, shown: &Value, key: &FingerprintKey) -> bool {
        self.known_secrets().get(path).is_some_and(|known| key.matches(known, path, shown))
    }

    /// Whether a secret of it was neither sent nor read back.
    pub fn is_unverified(&self) -> bool {
        self.base.values().any(|field| field.unverified)
    }
}

impl Memory {
    /// Whether a connection of the name must not be deleted: the one of the inventory, or one that a call may
    /// have made.
    pub fn is_protected(&self) -> bool {
        let owned = self.owned.iter().map(|owned| owned.protect);
        let intent = self.intent.iter().map(|intent| intent.protect);
        self.protected_by.is_some() || owned.chain(intent).any(|protect| protect)
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one more write of a value that may not stay; `shown` is what live had before it.
    pub fn count_write(&mut self, path: &str, wanted: &Value, shown: &Value, key: &FingerprintKey) {
        let of_now = |known: &Unstable| key.matches(&known.print, path, wanted);
        let known = self.unstable.remove(path).filter(of_now);
        let (puts, in_a_row) = known.as_ref().map_or((0, 0), |k| (k.puts, k.puts_in_a_row));
        let counted = Unstable {
            print: known.map_or_else(|| key.of(path, wanted), |known| known.print),
            shown: Some(key.of(path, shown)),
            puts: puts.saturating_add(1),
            puts_in_a_row: in_a_row.saturating_add(1),
            given_up: false,
        };
        self.unstable.insert(path.to_owned(), counted);
    }
}

impl Record {
    /// The memory of a connection.
    pub fn memory(&self, name: &ConnectionName) -> Option<&Memory> {
        self.connections.get(name).map(|memory| &**memory)
    }

    /// A connection's entry in the inventory.
    pub fn owned(&self, name: &ConnectionName) -> Option<&Owned> {
        self.memory(name)?.owned.as_ref()
    }

    /// The inventory.
    pub fn inventory(&self) -> impl Iterator<Item = (&ConnectionName, &Owned)> {
        self.connections.iter().filter_map(|(name, known)| Some((name, known.owned.as_ref()?)))
    }

    /// Changes the memory of a connection. A memory that is left empty goes.
    pub fn edit<T>(&mut self, name: &ConnectionName, change: impl FnOnce(&mut Memory) -> T) -> T {
        let memory = Arc::make_mut(self.connections.entry(name.clone()).or_default());
        let result = change(memory);
        if memory.is_empty() {
            self.connections.remove(name);
        }
        result
    }

    /// Puts another memory in the place of the one that is there.
    pub fn set(&mut self, name: &ConnectionName, memory: Memory) {
        self.edit(name, |known| *known = memory);
    }

    /// Notes that the connection of a name left the inventory: another one that has the name later is of no
    /// commit before that.
    pub(crate) fn leave(&mut self, name: &ConnectionName) {
        if let Some(good) = self.last_good.as_mut().filter(|good| good.declared.contains_key(name))
        {
            good.left.insert(name.clone());
        }
    }

    /// Has names count as the last good commit's again that left the inventory, and that a run of that very
    /// commit took in again. Tells whether there is one.
    pub(crate) fn take_in_again(
        &mut self,
        commit: &CommitId,
        is_declared: impl Fn(&ConnectionName) -> bool,
    ) -> bool {
        let is_owned = |name: &ConnectionName| {
            self.connections.get(name).is_some_and(|memory| memory.owned.is_some())
        };
        let Some(good) = self.last_good.as_mut().filter(|good| good.commit == *commit) else {
            return false;
        };
        let before = good.left.len();
        good.left.retain(|name| !is_declared(name) || !is_owned(name));
        good.left.len() != before
    }

    /// Forgets all that belongs to a name; whether it was in the inventory.
    pub fn forget(&mut self, name: &ConnectionName) -> bool {
        self.leave(name);
        self.edit(name, |memory| std::mem::take(memory).owned.is_some())
    }

    /// Forgets the connection that had a name which a rename frees. A call that takes the name anew
    /// keeps its note: a run that dies right after it would leave an orphan.
    pub fn free(&mut self, name: &ConnectionName) {
        self.edit(name, |memory| {
            *memory = Memory { intent: memory.intent.take(), ..Memory::default() };
        });
    }

    /// Notes that the consents of commits are used up.
    pub(crate) fn use_up(&mut self, consents: &BTreeSet<CommitId>) {
        self.consented.extend(consents.iter().cloned());
        self.consented.drain(..self.consented.len().saturating_sub(USED_CONSENTS));
    }

    /// When the next connection that was not deployed is written again, in seconds since 1970.
    pub fn next_degraded_write(&self, now: i64) -> Option<i64> {
        let degraded = self.connections.values().filter_map(|memory| memory.degraded.as_ref());
        let waiting = degraded.filter(|d| d.deleted.is_none() && d.next > now);
        waiting.map(|degraded| degraded.next).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_consents_stay_used_up() {
        let commit = |number: usize| CommitId(format!("{number:040x}"));
        let mut record = Record::default();
        for number in 0..=USED_CONSENTS {
            record.use_up(&BTreeSet::from([commit(number)]));
        }
        assert_eq!(record.consented.len(), USED_CONSENTS);
        assert!(record.consented.contains(&commit(USED_CONSENTS)));
        assert!(!record.consented.contains(&commit(0)));
    }
}
