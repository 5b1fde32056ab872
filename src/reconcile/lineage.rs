//! Notes that a commit left from which the one that is looked at does not come: those of another
//! branch, or of a history that was rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Engine;
use super::load::declared_names;
use crate::config::Target;
use crate::document::DeclaredThen;
use crate::inventory::{DeleteNote, Record};
use crate::name::{CommitId, ConnectionName};
use crate::source::{Repository, Snapshot, SourceError};

/// Takes back what such commits asked for and consented to. What they found missing stays due where
/// the commit that declared it last, read with today's config, still does: an amended commit asks for
/// the same. The names that this commit declares as they are live are the answer: another branch may
/// still ask to be rid of them, so their notes stay.
pub(super) fn without_other_branches(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    declared_type: impl Fn(&ConnectionName) -> Option<&'static str>,
    record: &mut Record,
) -> Result<BTreeSet<ConnectionName>, SourceError> {
    let mut elsewhere = BTreeSet::new();
    let Snapshot::Commit { repository, commit } = snapshot else { return Ok(elsewhere) };
    let mut lineage = Lineage {
        engine,
        target,
        repository,
        tip: &commit.id,
        reached: BTreeMap::new(),
        read: None,
    };
    let Record { deletes, inventory, .. } = record;
    let mut notes: Vec<_> = deletes.iter_mut().collect();
    // Each commit that they name is read once.
    notes.sort_by(|(_, a), (_, b)| a.declared_in.cmp(&b.declared_in));
    for (name, note) in notes {
        let owned_type = inventory.get(name).map(|owned| owned.type_name.as_str());
        if note.undue {
            // What was not known, since the repository did not have the commit, may be known now.
            let may_be_due = note.becomes.is_some() || declared_type(name).is_none();
            if may_be_due && lineage.still_declares(name, note, owned_type)? {
                (note.commit, note.undue) = (Some(commit.id.clone()), false);
            }
            continue;
        }
        if let Some(by) = &note.consented_by
            && !lineage.reaches(by)?
        {
            (note.consent, note.consented_by) = (false, None);
        }
        let Some(seen) = &note.commit else { continue };
        if lineage.reaches(seen)? {
            continue;
        }
        let declared = declared_type(name);
        if declared.is_some() && (note.becomes.is_none() || declared == owned_type) {
            (note.consent, note.consented_by) = (false, None);
            elsewhere.insert(name.clone());
            continue;
        }
        if lineage.still_declares(name, note, owned_type)? {
            note.commit = Some(commit.id.clone());
        } else {
            *note = DeleteNote { consent: false, consented_by: None, undue: true, ..note.clone() };
        }
    }
    Ok(elsewhere)
}

struct Lineage<'a> {
    engine: &'a Engine,
    target: &'a Target,
    repository: &'a Arc<Repository>,
    tip: &'a CommitId,
    reached: BTreeMap<CommitId, bool>,
    /// What the commit that was read last declared.
    read: Option<(CommitId, Option<DeclaredThen>)>,
}

impl Lineage<'_> {
    /// Whether the tip comes from a commit. Of one that is not here (a shallow clone) nobody can
    /// tell, and what the state knows stands.
    fn reaches(&mut self, id: &CommitId) -> Result<bool, SourceError> {
        if let Some(known) = self.reached.get(id) {
            return Ok(*known);
        }
        let reaches = !self.repository.has_commit(id)? || {
            let beyond = self.repository.commits_since(id, Some(self.tip))?;
            beyond.commits.is_empty() || !beyond.complete
        };
        self.reached.insert(id.clone(), reaches);
        Ok(reaches)
    }

    fn still_declares(
        &mut self,
        name: &ConnectionName,
        note: &DeleteNote,
        owned_type: Option<&str>,
    ) -> Result<bool, SourceError> {
        let Some(id) = &note.declared_in else { return Ok(false) };
        let Some(then) = self.declared_then(id)? else { return Ok(false) };
        Ok(match &note.becomes {
            Some(_) => then.types.get(name).copied() == owned_type,
            None => then.names.contains(name) || then.renames.values().any(|old| old == name),
        })
    }

    /// What a commit declares, read with today's config; `None`: it is not here.
    fn declared_then(&mut self, id: &CommitId) -> Result<Option<&DeclaredThen>, SourceError> {
        if self.read.as_ref().is_none_or(|(read, _)| read != id) {
            let then = match self.repository.commit(id)? {
                None => None,
                Some(commit) => {
                    let repository = Arc::clone(self.repository);
                    let snapshot = Snapshot::Commit { repository, commit };
                    Some(declared_names(self.engine, self.target, &snapshot)?)
                }
            };
            self.read = Some((id.clone(), then));
        }
        Ok(self.read.as_ref().and_then(|(_, then)| then.as_ref()))
    }
}
