//! The commits that came since the last good one, and what they consent to.

use std::collections::{BinaryHeap, HashMap, HashSet};

use git2::Oid;

use super::SourceError;
use super::object_database::ObjectDatabase;
use crate::name::CommitId;

/// How many commits one reading of the history may cover.
const MOST_COMMITS: usize = 10_000;

/// How many more may be looked at for it: those that both commits reach, where histories are far apart.
const MOST_SEEN: usize = 50 * MOST_COMMITS;

/// How wrong the clocks of committers may be against each other, in seconds.
const CLOCK_SKEW: i64 = 24 * 60 * 60;

/// The trailer by which a commit consents to the deletes that it causes.
const CONSENT: &str = "Allow-Deletes";

/// The trailer by which a commit consents to changes that a rule of the user holds.
const RULE_CONSENT: &str = "Allow-Rule";

/// A commit with what it consents to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitWithConsents {
    /// Its id.
    pub id: CommitId,
    /// The commits it was made from: none for the first, several for a merge.
    pub parents: Vec<CommitId>,
    /// Whether it carries the trailer `Allow-Deletes: true`.
    pub allow_deletes: bool,
    /// The rules that its trailers `Allow-Rule` name.
    pub allow_rules: Vec<String>,
    /// The first line of its message.
    pub subject: String,
}

/// The commits that are reached from one commit and not from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitsSince {
    /// Newest first.
    pub commits: Vec<CommitWithConsents>,
    /// Whether these are all: not so where the clone is shallow or the history too long.
    pub complete: bool,
}

impl CommitsSince {
    /// The commits that come after one: those that reach it.
    pub fn after<'h>(&'h self, id: &CommitId) -> HashSet<&'h CommitId> {
        let mut found: HashSet<&CommitId> = HashSet::new();
        let mut open: Vec<&CommitWithConsents> =
            self.commits.iter().filter(|c| c.id != *id).collect();
        loop {
            let before = open.len();
            let mut left = Vec::new();
            // Oldest first, so that one round finds all where clocks were right.
            for commit in open.into_iter().rev() {
                if commit.parents.iter().any(|parent| parent == id || found.contains(parent)) {
                    found.insert(&commit.id);
                } else {
                    left.push(commit);
                }
            }
            left.reverse();
            if left.len() == before {
                return found;
            }
            open = left;
        }
    }
}

/// Reads what is reached from `tip` and not from `known`, which both have to be there.
pub(super) fn since(
    objects: &ObjectDatabase,
    tip: Oid,
    known: Option<Oid>,
) -> Result<CommitsSince, SourceError> {
    objects.read(|repository| {
        let mut walk = Walk {
            repository,
            objects,
            queue: BinaryHeap::new(),
            good: HashMap::new(),
            open: HashSet::new(),
            complete: true,
        };
        for (id, good) in [(Some(tip), false), (known, true)] {
            let Some(id) = id else { continue };
            objects.known_commit(repository, id)?;
            walk.reach(id, good)?;
        }
        walk.run()
    })
}

/// One commit by itself; `None`: it is not there.
pub(super) fn one(
    objects: &ObjectDatabase,
    id: Oid,
) -> Result<Option<CommitWithConsents>, SourceError> {
    objects.read(|repository| Ok(objects.commit(repository, id)?.as_ref().map(describe)))
}

/// Paints commits from both ends: good is what the last good commit reaches.
struct Walk<'a> {
    repository: &'a git2::Repository,
    objects: &'a ObjectDatabase,
    // By time, so that both sides are met at the same pace.
    queue: BinaryHeap<(i64, Oid)>,
    good: HashMap<Oid, bool>,
    // Queued commits that are not good; when there are none, nothing more can be found.
    open: HashSet<Oid>,
    complete: bool,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<CommitsSince, SourceError> {
        let mut found = Vec::new();
        let mut oldest = i64::MAX;
        while let Some((time, id)) = self.queue.pop() {
            // A good commit is followed for a while longer: where clocks were wrong it may turn
            // out to reach more of what was found.
            if self.open.is_empty() && time < oldest.saturating_sub(CLOCK_SKEW) {
                break;
            }
            if found.len() >= MOST_COMMITS || self.good.len() > MOST_SEEN {
                self.complete = false;
                break;
            }
            self.open.remove(&id);
            let good = self.good.get(&id).copied().unwrap_or_default();
            let Some(commit) = self.objects.commit(self.repository, id)? else { continue };
            for parent in commit.parent_ids() {
                self.reach(parent, good)?;
            }
            if !good {
                oldest = oldest.min(time);
                found.push(commit);
            }
        }
        found.retain(|commit| self.good.get(&commit.id()) == Some(&false));
        let commits = found.iter().map(describe).collect();
        Ok(CommitsSince { commits, complete: self.complete })
    }

    fn reach(&mut self, id: Oid, good: bool) -> Result<(), SourceError> {
        match self.good.insert(id, good) {
            Some(true) => {
                self.good.insert(id, true);
                return Ok(());
            }
            Some(false) if !good => return Ok(()),
            _ => {}
        }
        match self.objects.commit(self.repository, id)?.map(|commit| commit.time().seconds()) {
            Some(time) => {
                self.queue.push((time, id));
                if good {
                    self.open.remove(&id)
                } else {
                    self.open.insert(id)
                };
            }
            // A shallow clone ends here.
            None => self.complete &= good,
        }
        Ok(())
    }
}

fn describe(commit: &git2::Commit<'_>) -> CommitWithConsents {
    CommitWithConsents {
        id: CommitId(commit.id().to_string()),
        parents: commit.parent_ids().map(|id| CommitId(id.to_string())).collect(),
        allow_deletes: consents(commit.message_raw_bytes()),
        allow_rules: trailers(commit.message_raw_bytes(), RULE_CONSENT),
        subject: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
    }
}

/// Whether a message consents to deletes.
pub(super) fn consents(message: &[u8]) -> bool {
    trailers(message, CONSENT).iter().any(|value| value.eq_ignore_ascii_case("true"))
}

/// The values of a trailer, by git's rules: in the last paragraph, the key in any case.
fn trailers(message: &[u8], key: &str) -> Vec<String> {
    let Ok(trailers) = git2::message_trailers_bytes(message.to_vec()) else { return Vec::new() };
    let of_key = trailers.iter().filter(|(k, _)| k.eq_ignore_ascii_case(key.as_bytes()));
    of_key.map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned()).collect()
}

#[cfg(test)]
mod tests;
