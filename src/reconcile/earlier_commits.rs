//! Asking git what earlier commits declared and consented to. The answers are judged in
//! [`crate::plan::earlier_commits`], which is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::load::{LoadedTarget, declared_below, declared_unread, load_target};
use super::{Engine, blocking};
use crate::config::Target;
use crate::document::{Document, OldDeclarations, Options};
use crate::name::{CommitId, ConnectionName};
use crate::plan::earlier_commits::{
    Consents, EarlierCommits, LastGood, NamesByPath, RuleConsent, is_below_any, lost_paths,
    names_touched_below,
};
use crate::record::{self, AskedBy, Due, GoodCommit, Record};
use crate::source::{self, CommitWithConsents, Repository, Snapshot, SourceError};

/// Reads commits of the past for one target.
pub(super) struct CommitReader<'a> {
    pub(super) engine: &'a Engine,
    pub(super) target: &'a Target,
    pub(super) snapshot: &'a Snapshot,
    pub(super) loaded: &'a LoadedTarget,
    /// Nothing is remembered but what a base revision declared.
    pub(super) is_stateless: bool,
}

/// The valid documents of a commit: type, options and fields; and nothing for an old name of a rename,
/// which is declared as what it is to become.
type Declarations =
    BTreeMap<ConnectionName, Option<(&'static str, Options, Arc<Map<String, Value>>)>>;

fn declarations_of(documents: &[Document]) -> Declarations {
    let old_names = documents.iter().filter_map(|document| document.options.renamed_from.clone());
    let declared = documents.iter().map(|document| {
        let Document { connection_type, name, options, fields, .. } = document.clone();
        (name, Some((connection_type.name, options, fields)))
    });
    old_names.map(|name| (name, None)).chain(declared).collect()
}

impl CommitReader<'_> {
    /// Finds out all that deletes depend on. What is due by another branch is taken back in the record.
    pub(super) fn ask(&self, record: &mut Record) -> Result<EarlierCommits, SourceError> {
        let other_branch = self.take_back_other_branches(record)?;
        let commit = self.snapshot.commit().map(|commit| commit.id.clone());
        let consents = self.consents(record)?;
        let earlier =
            EarlierCommits { commit, consents, other_branch, ..EarlierCommits::default() };
        let Some(good) = &record.last_good else { return Ok(earlier) };
        let counts = self.loaded.counts();
        let (last_good, then) = self.last_good(good)?;
        let mut lost_paths = lost_paths(good, then.as_ref(), &counts);
        if self.is_stateless {
            // No state knows what a mistyped path declared.
            let missing = counts.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path);
            for path in missing {
                lost_paths.entry(path.clone()).or_default();
            }
        }
        let (still_declared, mut unread_paths) = self.still_declared(record, good, &counts)?;
        let touched = |place: &String| (place.clone(), names_touched_below(good, place, None));
        unread_paths.extend(self.loaded.unread_files.keys().map(touched));
        Ok(EarlierCommits { last_good, still_declared, lost_paths, unread_paths, ..earlier })
    }

    /// The declarations of the last good commit, read with today's config; and its paths, where
    /// they had to be read anew. The state knows both, save where the config has changed since.
    fn last_good(
        &self,
        good: &GoodCommit,
    ) -> Result<(LastGood, Option<BTreeMap<String, usize>>), SourceError> {
        if good.config == self.engine.config_digest(self.target) {
            let mut declared = Arc::clone(&good.declared);
            if !good.left.is_empty() {
                Arc::make_mut(&mut declared).retain(|name, _| !good.left.contains(name));
            }
            return Ok((LastGood::Declared(declared), None));
        }
        let Snapshot::Commit { repository, .. } = self.snapshot else {
            return Ok((LastGood::Missing, None));
        };
        let Some(then) = self.declared_by(repository, &good.commit)? else {
            return Ok((LastGood::Missing, None));
        };
        let declared = then.names.difference(&good.left).map(|name| {
            let declared = record::DeclaredThen {
                type_name: then.types.get(name).copied().unwrap_or_default().to_owned(),
                files: Vec::new(),
                renamed_from: then.renames.get(name).cloned(),
            };
            (name.clone(), declared)
        });
        Ok((LastGood::Declared(Arc::new(declared.collect())), Some(then.paths)))
    }

    /// Names that a path of the last good commit, or of one before it, still declares though today's
    /// config does not read it; and those paths. One with a file whose names are not known may declare
    /// every name.
    fn still_declared(
        &self,
        record: &Record,
        good: &GoodCommit,
        counts: &BTreeMap<String, usize>,
    ) -> Result<(BTreeMap<ConnectionName, String>, NamesByPath), SourceError> {
        let recorded = good.paths.iter().filter(|(_, count)| **count > 0).map(|(path, _)| path);
        let unread = recorded.chain(good.absent_paths.keys()).filter(|p| !is_below_any(p, counts));
        let (mut names, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for path in unread.cloned().collect::<BTreeSet<String>>() {
            let Self { engine, target, snapshot, .. } = *self;
            let then = declared_unread(engine, target, snapshot, &path, good, counts)?;
            let may_be_more = !then.unknown_files.is_empty();
            // Known by themselves: consent to the loss of the path does not free what they may declare.
            let touched =
                |file: &String| (file.clone(), names_touched_below(good, file, Some(counts)));
            paths.extend(then.unknown_files.iter().map(touched));
            if !then.names.is_empty() || may_be_more {
                paths.insert(path.clone(), names_touched_below(good, &path, Some(counts)));
            }
            if may_be_more {
                let all = record.inventory().map(|(name, _)| name.clone());
                names.extend(all.map(|name| (name, path.clone())));
            }
            names.extend(then.with_old_names().into_iter().map(|name| (name, path.clone())));
        }
        Ok((names, paths))
    }

    /// The declarations of a commit, read with today's config; `None`: it is not here.
    fn declared_by(
        &self,
        repository: &Arc<Repository>,
        id: &CommitId,
    ) -> Result<Option<OldDeclarations>, SourceError> {
        let Some(commit) = repository.commit(id)? else { return Ok(None) };
        let then = Snapshot::Commit { repository: Arc::clone(repository), commit };
        declared_below(self.engine, self.target, &then, &self.target.paths).map(Some)
    }

    /// The consents of the commits since the last good one. Where the history is cut short, as in a
    /// shallow clone, only the tip can be seen: what is before it consents to nothing.
    fn consents(&self, record: &Record) -> Result<Consents, SourceError> {
        let mut consents = Consents::default();
        let Snapshot::Commit { repository, commit: tip } = self.snapshot else {
            return Ok(consents);
        };
        let last_good = record.last_good.as_ref().map(|good| &good.commit);
        if last_good == Some(&tip.id) {
            return Ok(consents);
        }
        let history = match last_good {
            Some(good) if repository.has_commit(good)? => {
                Some(repository.commits_since(&tip.id, Some(good))?)
            }
            _ => None,
        };
        let commits = match &history {
            Some(history) => history.commits.clone(),
            None => repository.commit_with_consents(&tip.id)?.into_iter().collect(),
        };
        let holds = self.target.rules.holds();
        let mut to_deletes = Vec::new();
        for commit in &commits {
            let allows_deletes = commit.allow_deletes && last_good.is_some();
            let rules = commit.allow_rules.iter().filter(|_| holds);
            if (!allows_deletes && rules.clone().next().is_none())
                || record.consented.contains(&commit.id)
                || !self.is_trusted(repository, &commit.id)
            {
                continue;
            }
            consents.commits.insert(commit.id.clone());
            let is_tip = commit.id == tip.id;
            if allows_deletes && is_tip {
                consents.by_tip = true;
            } else if allows_deletes {
                to_deletes.push((&commit.id, self.removed_by(repository, commit)?));
            }
            if rules.clone().next().is_some() {
                let names = if is_tip { None } else { Some(self.changed_by(repository, commit)?) };
                consents.rules.extend(rules.map(|rule| {
                    let (by, names) = (commit.id.clone(), names.clone());
                    RuleConsent { rule: rule.clone(), by, names }
                }));
            }
        }
        if let Some(history) = &history {
            self.end_consents(repository, history, record, &mut to_deletes, &mut consents.ended)?;
        }
        for (id, names) in to_deletes {
            consents.names.extend(names.into_iter().map(|name| (name, id.clone())));
        }
        Ok(consents)
    }

    /// Ends consents to the delete of a name that came back: it was removed again by a later commit,
    /// which has to consent by itself. Every commit is read once, however many consented.
    fn end_consents(
        &self,
        repository: &Arc<Repository>,
        history: &source::CommitsSince,
        record: &Record,
        given: &mut [(&CommitId, BTreeSet<ConnectionName>)],
        ended: &mut BTreeSet<ConnectionName>,
    ) -> Result<(), SourceError> {
        let due = record.connections.iter().filter_map(|(name, m)| Some((name, m.due.as_ref()?)));
        let consented: BTreeSet<ConnectionName> =
            due.filter(|(_, due)| due.consent.is_some()).map(|(name, _)| name.clone()).collect();
        let after: Vec<_> = given.iter().map(|(id, _)| history.after(id)).collect();
        for commit in &history.commits {
            let later = given.iter_mut().zip(&after);
            let mut later: Vec<_> = later
                .filter(|((_, names), after)| !names.is_empty() && after.contains(&commit.id))
                .map(|((_, names), _)| names)
                .collect();
            if consented.is_empty() && later.is_empty() {
                continue;
            }
            let back = self.declared_by(repository, &commit.id)?.unwrap_or_default();
            later.iter_mut().for_each(|names| names.retain(|name| !back.may_declare(name)));
            ended.extend(consented.iter().filter(|name| back.may_declare(name)).cloned());
        }
        Ok(())
    }

    /// The names whose declarations a commit changed, against all that it was made from, and that
    /// are declared so to this day.
    fn changed_by(
        &self,
        repository: &Arc<Repository>,
        commit: &CommitWithConsents,
    ) -> Result<BTreeSet<ConnectionName>, SourceError> {
        let today = declarations_of(&self.loaded.contents.documents);
        let now = self.declarations(repository, &commit.id)?;
        let mut names: BTreeSet<ConnectionName> = now.keys().chain(today.keys()).cloned().collect();
        for parent in &commit.parents {
            let then = self.declarations(repository, parent)?;
            names.extend(then.keys().cloned());
            names.retain(|name| then.get(name) != now.get(name));
        }
        names.retain(|name| now.get(name) == today.get(name));
        Ok(names)
    }

    fn declarations(
        &self,
        repository: &Arc<Repository>,
        id: &CommitId,
    ) -> Result<Declarations, SourceError> {
        let Some(commit) = repository.commit(id)? else { return Ok(BTreeMap::new()) };
        let then = Snapshot::Commit { repository: Arc::clone(repository), commit };
        let loaded = load_target(self.engine, self.target, &then)?;
        Ok(declarations_of(&loaded.contents.documents))
    }

    /// Where only signed commits are applied, only signed ones consent.
    fn is_trusted(&self, repository: &Arc<Repository>, id: &CommitId) -> bool {
        let wanted = self.engine.config.source.verify.as_ref();
        wanted.is_none_or(|wanted| source::verify(repository, id, wanted).is_ok())
    }

    /// The names that a commit removed. What a merge removed is missing in it and was there in all
    /// that it merged.
    fn removed_by(
        &self,
        repository: &Arc<Repository>,
        commit: &CommitWithConsents,
    ) -> Result<BTreeSet<ConnectionName>, SourceError> {
        let mut removed: Option<BTreeSet<ConnectionName>> = None;
        for parent in &commit.parents {
            let names = self.declared_by(repository, parent)?.unwrap_or_default().with_old_names();
            removed = Some(match removed {
                None => names,
                Some(others) => others.intersection(&names).cloned().collect(),
            });
        }
        let mut removed = removed.unwrap_or_default();
        let still = self.declared_by(repository, &commit.id)?.unwrap_or_default();
        removed.retain(|name| !still.may_declare(name));
        Ok(removed)
    }

    /// Drops each request and consent of a commit that the tip does not contain: one of another
    /// branch, or of a history that was rewritten. A delete stays due if the commit that last declared
    /// the name still does, since an amended commit asks for the same. Gives the names that the tip
    /// declares: for them the request of the other branch stays noted.
    fn take_back_other_branches(
        &self,
        record: &mut Record,
    ) -> Result<BTreeSet<ConnectionName>, SourceError> {
        let mut other_branch = BTreeSet::new();
        let Snapshot::Commit { repository, commit } = self.snapshot else {
            return Ok(other_branch);
        };
        let renamed = record
            .inventory()
            .filter_map(|(name, owned)| Some((name.clone(), owned.renamed_from.clone()?)));
        let mut lineage = Lineage {
            reader: self,
            repository,
            tip: &commit.id,
            renamed: renamed.collect(),
            contained: BTreeMap::new(),
            read: BTreeMap::new(),
        };
        let due = record.connections.iter().filter(|(_, memory)| memory.due.is_some());
        for name in due.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            let Some(memory) = record.memory(&name) else { continue };
            let Some(mut due) = memory.due.clone() else { continue };
            let owned_type = memory.owned.as_ref().map(|owned| owned.type_name.clone());
            let declared_type = self.declared_type(&name);
            if lineage.follow_branch(&name, &mut due, owned_type.as_deref(), declared_type)? {
                other_branch.insert(name.clone());
            }
            if memory.due.as_ref() != Some(&due) {
                record.edit(&name, |memory| memory.due = Some(due));
            }
        }
        lineage.take_back_consents_to_rules(record)?;
        Ok(other_branch)
    }

    fn declared_type(&self, name: &ConnectionName) -> Option<&'static str> {
        let documents = &self.loaded.contents.documents;
        let at = documents.binary_search_by_key(&name, |document| &document.name).ok()?;
        documents.get(at).map(|document| document.connection_type.name)
    }
}

/// Which commits the one that is looked at comes from.
struct Lineage<'a> {
    reader: &'a CommitReader<'a>,
    repository: &'a Arc<Repository>,
    tip: &'a CommitId,
    /// The old names of the renames that are done, by the new ones.
    renamed: BTreeMap<ConnectionName, ConnectionName>,
    /// Whether the tip comes from each commit that was asked for.
    contained: BTreeMap<CommitId, bool>,
    /// The declarations of the commits that were read.
    read: BTreeMap<CommitId, Option<OldDeclarations>>,
}

impl Lineage<'_> {
    /// Brings what is due up to the commit that is looked at. Returns whether another branch asked for
    /// it while this commit declares the connection.
    fn follow_branch(
        &mut self,
        name: &ConnectionName,
        due: &mut Due,
        owned_type: Option<&str>,
        declared_type: Option<&str>,
    ) -> Result<bool, SourceError> {
        let AskedBy::Commit(asked_by) = due.asked_by.clone() else {
            // A commit that the repository did not have before may be there now.
            let may_be_asked_for = due.replaces_by().is_some() || declared_type.is_none();
            let no_commit_yet = matches!(due.asked_by, AskedBy::NoCommit | AskedBy::NotKnown);
            if no_commit_yet && may_be_asked_for && self.was_declared(name, due, owned_type)? {
                due.asked_by = AskedBy::Commit(self.tip.clone());
            }
            return Ok(false);
        };
        if let Some(by) = &due.consent
            && !self.may_contain(by)?
        {
            due.consent = None;
        }
        if self.may_contain(&asked_by)? {
            return Ok(false);
        }
        due.consent = None;
        if declared_type.is_some() && (due.replaces_by().is_none() || declared_type == owned_type) {
            return Ok(true);
        }
        due.asked_by = if self.was_declared(name, due, owned_type)? {
            AskedBy::Commit(self.tip.clone())
        } else {
            AskedBy::NoCommit
        };
        Ok(false)
    }

    /// Takes back consents to rules of commits from which this one does not come.
    fn take_back_consents_to_rules(&mut self, record: &mut Record) -> Result<(), SourceError> {
        let of_rules = record.connections.iter().filter(|(_, memory)| !memory.consents.is_empty());
        for (name, memory) in of_rules.map(|(n, m)| (n.clone(), Arc::clone(m))).collect::<Vec<_>>()
        {
            for (rule, consent) in &memory.consents {
                if !self.may_contain(&consent.by)? {
                    record.edit(&name, |memory| memory.consents.remove(rule));
                }
            }
        }
        Ok(())
    }

    /// Whether the tip comes from a commit. Where that cannot be told (a shallow clone), what the state
    /// knows stands.
    fn may_contain(&mut self, id: &CommitId) -> Result<bool, SourceError> {
        if let Some(known) = self.contained.get(id) {
            return Ok(*known);
        }
        let may_contain = self.repository.reaches(self.tip, id)?.unwrap_or(true);
        self.contained.insert(id.clone(), may_contain);
        Ok(may_contain)
    }

    /// Whether the commit that declared the connection last still does, read with today's config.
    fn was_declared(
        &mut self,
        name: &ConnectionName,
        due: &Due,
        owned_type: Option<&str>,
    ) -> Result<bool, SourceError> {
        let Some(id) = &due.declared_in else { return Ok(false) };
        if !self.read.contains_key(id) {
            let then = self.reader.declared_by(self.repository, id)?;
            self.read.insert(id.clone(), then);
        }
        let Some(Some(then)) = self.read.get(id) else { return Ok(false) };
        Ok(match due.replaces_by() {
            Some(_) => owned_type.is_some() && then.types.get(name).copied() == owned_type,
            None => then.declares(name, &self.renamed),
        })
    }
}

/// Whether another process applied a newer commit than this one, or may have where a shallow clone
/// does not tell. A commit to which the branch was moved back counts as the newest.
pub(super) fn is_overtaken(engine: &Engine, snapshot: &Snapshot, record: &Record) -> bool {
    let (Snapshot::Commit { repository, commit }, Some(good)) = (snapshot, &record.last_good)
    else {
        return false;
    };
    if good.commit == commit.id {
        return false;
    }
    blocking(|| {
        let comes_after = || repository.reaches(&good.commit, &commit.id);
        let is_here = repository.has_commit(&good.commit).unwrap_or(false);
        // The last good commit is an older one, as almost always. Whatever else it is, the branch tells,
        // which opens the repository anew.
        if is_here && comes_after().is_ok_and(|comes_after| comes_after == Some(false)) {
            return false;
        }
        let fetched = engine.mirror.as_ref().and_then(|mirror| mirror.status().branch);
        let branch = engine.config.source.branch.clone().or(fetched);
        let newest = repository.head(branch.as_deref());
        let is_newest = newest.is_ok_and(|newest| newest.id == commit.id);
        let has_it = !is_newest && repository.has_commit(&good.commit).unwrap_or(false);
        has_it && comes_after().is_ok_and(|comes_after| comes_after != Some(false))
    })
}
