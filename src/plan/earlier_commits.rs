//! Which deletes and replaces commits asked for: from what earlier commits declared to what is due
//! now. Pure; `reconcile::earlier_commits` asks git (rule 3). A table in `docs/how-it-decides.md` says what
//! each kind of commit does to a step that is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::renames::{open_renames, renames_of};
use super::run::Filter;
use crate::desired::{Desired, DesiredConnection};
use crate::live::Live;
use crate::name::{CommitId, ConnectionName};
use crate::record::{AskedBy, DeclaredThen, Due, DueStep, GoodCommit, Memory, Record};

/// The declarations and consents of earlier commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlierCommits {
    /// The commit that is looked at; `None`: the working tree.
    pub(crate) commit: Option<CommitId>,
    /// The last good commit, read with today's config.
    pub(crate) last_good: LastGood,
    /// The consents of the commits since then.
    pub(crate) consents: Consents,
    /// Names that the commit declares and that another branch removed, or gave another type. Their due
    /// steps are kept until a commit of that branch comes again.
    pub(crate) other_branch: BTreeSet<ConnectionName>,
    /// Names that a path still declares, or may, which today's config does not read.
    pub(crate) still_declared: BTreeMap<ConnectionName, String>,
    /// Paths that declared something in the last good commit and are missing or empty now. While there
    /// is one, all deletes are held. An absent path is one that is lost or unread.
    pub(crate) lost_paths: NamesByPath,
    /// Files and paths that are still there but are not read any more (a file became a link, the config no
    /// longer names a path), with the names that they had a say in, if any.
    pub(crate) unread_paths: NamesByPath,
}

/// Paths with the names that files below them had a say in.
pub(crate) type NamesByPath = BTreeMap<String, BTreeSet<ConnectionName>>;

/// The declarations of the last good commit, read with today's config.
#[derive(Clone, Debug, Default)]
pub(crate) enum LastGood {
    /// There is none: the tool never began to apply a whole commit.
    #[default]
    Never,
    /// The config has changed since, and the commit cannot be read with today's: the repository no longer
    /// has it, or the run reads a working tree.
    Missing,
    /// The connections that it declared.
    Declared(Arc<BTreeMap<ConnectionName, DeclaredThen>>),
}

/// The consents of commits by the trailers `Allow-Deletes` and `Allow-Rule`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Consents {
    /// Names that a commit with the trailer itself removed, with that commit.
    pub(crate) names: BTreeMap<ConnectionName, CommitId>,
    /// The tip has the trailer and is loaded for the first time.
    pub(crate) by_tip: bool,
    /// The commits with the trailer: each consents once.
    pub(crate) commits: BTreeSet<CommitId>,
    /// Names that a commit since the last good one declared again: a consent before that ended.
    pub(crate) ended: BTreeSet<ConnectionName>,
    /// Consents to rules of the user.
    pub(crate) rules: Vec<RuleConsent>,
}

/// The consent of a commit, by the trailer `Allow-Rule`, to changes that a rule of the user holds.
#[derive(Clone, Debug)]
pub(crate) struct RuleConsent {
    pub(crate) rule: String,
    pub(crate) by: CommitId,
    /// The names that it is about; `None`: all.
    pub(crate) names: Option<BTreeSet<ConnectionName>>,
}

impl Consents {
    /// The commit that consents to the change of a name that a rule holds.
    pub(crate) fn to_rule(&self, rule: &str, name: &ConnectionName) -> Option<CommitId> {
        let is_about = |one: &&RuleConsent| {
            one.rule == rule && one.names.as_ref().is_none_or(|names| names.contains(name))
        };
        self.rules.iter().find(is_about).map(|one| one.by.clone())
    }
}

impl EarlierCommits {
    /// Whether the last good commit cannot be read.
    pub(crate) fn is_last_good_missing(&self) -> bool {
        matches!(self.last_good, LastGood::Missing)
    }

    /// The absent path that declared a part of a connection, or of the one that it is to be renamed from.
    pub(crate) fn absent_path_of(
        &self,
        name: &ConnectionName,
        desired: Option<&DesiredConnection>,
    ) -> Option<&str> {
        let old = desired.and_then(DesiredConnection::rename).map(|(_, old)| old);
        let is_about = |names: &BTreeSet<ConnectionName>| {
            names.contains(name) || old.is_some_and(|old| names.contains(old))
        };
        let mut paths = self.lost_paths.iter().chain(&self.unread_paths);
        paths.find(|(_, names)| is_about(names)).map(|(path, _)| path.as_str())
    }

    /// The paths that are absent, lost or unread, which are to be kept with the commit.
    pub(crate) fn absent_paths(&self) -> NamesByPath {
        self.unread_paths.clone().into_iter().chain(self.lost_paths.clone()).collect()
    }

    fn declared_then(&self, name: &ConnectionName) -> Option<&DeclaredThen> {
        match &self.last_good {
            LastGood::Declared(declared) => declared.get(name),
            LastGood::Never | LastGood::Missing => None,
        }
    }

    /// Whether the last good commit declared the connection with that type. Of a state of version 1
    /// the type may not be known.
    fn declared_as(&self, name: &ConnectionName, type_name: &str) -> bool {
        let then = self.declared_then(name);
        then.is_some_and(|then| then.type_name == type_name || then.type_name.is_empty())
    }
}

/// The facts from which the due deletes and replaces are found.
pub(crate) struct Noting<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) live: &'a Live,
    pub(crate) filter: &'a Filter,
    pub(crate) earlier: &'a EarlierCommits,
}

impl Noting<'_> {
    /// Notes the deletes and replaces that a commit which loaded whole asked for, at first sight, and
    /// drops those of names that it declares again.
    pub(crate) fn note(&self, record: &mut Record) {
        let declared_in = record.last_good.as_ref().map(|good| good.commit.clone());
        let open = open_renames(renames_of(self.desired), record, self.live);
        let renamed_then = self.old_names_then(record);
        let names: Vec<ConnectionName> = record.connections.keys().cloned().collect();
        for name in names {
            let Some(memory) = record.memory(&name) else { continue };
            let due = if self.desired.contains_key(&name) {
                self.replace_of(&name, memory, declared_in.as_ref())
            } else if open.contains_key(&name) {
                memory.due.clone().filter(|_| self.earlier.other_branch.contains(&name))
            } else {
                let was_declared =
                    self.earlier.declared_then(&name).is_some() || renamed_then.contains(&name);
                self.delete_of(&name, memory, was_declared, declared_in.as_ref())
            };
            let due = due.map(|due| self.with_consent(&name, memory, due));
            if memory.due != due {
                record.edit(&name, |memory| memory.due = due);
            }
        }
        if !self.filter.is_narrow() {
            record.use_up(&self.earlier.consents.commits);
        }
    }

    /// Old names of renames that the last good commit declared and that were surely not made.
    fn old_names_then(&self, record: &Record) -> BTreeSet<ConnectionName> {
        let LastGood::Declared(declared) = &self.earlier.last_good else { return BTreeSet::new() };
        let pairs =
            declared.iter().filter_map(|(new, then)| Some((new, then.renamed_from.as_ref()?)));
        let open = open_renames(pairs, record, self.live).into_iter();
        let made = |new: &ConnectionName| record.owned(new)?.renamed_from.as_ref();
        open.filter(|(old, new)| made(new) != Some(old)).map(|(old, _)| old.clone()).collect()
    }

    /// The delete that is due of a name that the commit does not declare.
    fn delete_of(
        &self,
        name: &ConnectionName,
        memory: &Memory,
        was_declared: bool,
        declared_in: Option<&CommitId>,
    ) -> Option<Due> {
        // A create that may have been sent may turn out to be ours.
        if memory.owned.is_none() && memory.intent.is_none() {
            return None;
        }
        let known = memory.due.clone();
        if self.earlier.is_last_good_missing() {
            // To be asked again once the repository has it.
            return known.or_else(|| {
                let (asked_by, declared_in) = (AskedBy::NotKnown, declared_in.cloned());
                Some(Due { asked_by, declared_in, ..Due::default() })
            });
        }
        let is_removed = was_declared && !self.earlier.still_declared.contains_key(name);
        if !is_removed || known.as_ref().is_some_and(Due::asks_for_a_delete) {
            return known;
        }
        // A delete that follows a held replace inherits its holds.
        let known = known.unwrap_or_default();
        Some(Due {
            to: DueStep::Delete,
            asked_by: AskedBy::this(self.earlier.commit.as_ref()),
            declared_in: declared_in.cloned(),
            consent: None,
            moved_to: self.moved_to(name),
            ..known
        })
    }

    /// The new name of the rename that this one was to go by: the last good commit did not declare that rename yet, or
    /// declared this name by nothing else. Whether it stands inert, the plan tells.
    fn moved_to(&self, old: &ConnectionName) -> Option<ConnectionName> {
        let (new, _) = renames_of(self.desired).find(|(_, from)| *from == old)?;
        let then = self.earlier.declared_then(new).and_then(|then| then.renamed_from.as_ref());
        let was_declared = self.earlier.declared_then(old).is_some();
        (then != Some(old) || !was_declared).then(|| new.clone())
    }

    /// The replace that is due of a name that the commit declares. It is asked for if a commit
    /// changed the type: the last good one declared the old type, or the type of an earlier replace
    /// that is not done. A replace that overtakes a held delete is held for the same reason;
    /// consent to one of them does not count for the other.
    fn replace_of(
        &self,
        name: &ConnectionName,
        memory: &Memory,
        declared_in: Option<&CommitId>,
    ) -> Option<Due> {
        let wanted = self.desired.get(name)?.connection_type.name;
        let known = memory.due.as_ref();
        let elsewhere = || known.filter(|_| self.earlier.other_branch.contains(name)).cloned();
        let Some(owned) = memory.owned.as_ref().filter(|owned| owned.type_name != wanted) else {
            return elsewhere();
        };
        let was_asked_for =
            known.is_some_and(|due| due.replaces_by().is_some() && due.is_asked_for());
        let is_new = self.earlier.declared_as(name, &owned.type_name)
            || (was_asked_for
                && self.earlier.declared_then(name).is_some()
                && !self.earlier.declared_as(name, wanted));
        let of_this = known.filter(|due| due.replaces_by() == Some(wanted));
        let is_asked_for = is_new || (was_asked_for && of_this.is_some());
        if let Some(known) = of_this.filter(|known| known.is_asked_for() == is_asked_for) {
            return Some(known.clone());
        }
        let of_a_delete = known.filter(|due| due.replaces_by().is_none());
        let held = of_this.or(of_a_delete);
        let asked_by = if is_asked_for {
            AskedBy::this(self.earlier.commit.as_ref())
        } else if let Some(held) = held {
            match &held.asked_by {
                AskedBy::Commit(commit) => AskedBy::RemovedBy(commit.clone()),
                other => other.clone(),
            }
        } else if self.earlier.is_last_good_missing() {
            AskedBy::NotKnown
        } else {
            // Another replace is due, which a mistyped path does not undo.
            return known.filter(|_| was_asked_for).cloned();
        };
        Some(Due {
            to: DueStep::Replace(wanted.to_owned()),
            asked_by,
            declared_in: declared_in.cloned(),
            over_limit: held.and_then(|due| due.over_limit.clone()),
            lost_path: held.and_then(|due| due.lost_path.clone()),
            was_held: held.is_some_and(|due| due.was_held),
            ..Due::default()
        })
    }

    /// A due step with the consent of a commit or, without one, a lost path. The path is stored, since
    /// the next commit is compared with this one, which does not have it.
    fn with_consent(&self, name: &ConnectionName, memory: &Memory, mut due: Due) -> Due {
        let consents = &self.earlier.consents;
        if consents.ended.contains(name) {
            due.consent = None;
        }
        if !due.is_asked_for() || self.earlier.other_branch.contains(name) {
            return due;
        }
        let type_name = memory.owned.as_ref().map_or("", |owned| &owned.type_name);
        let is_delete = due.to == DueStep::Delete;
        let is_of_tip = consents.by_tip && (!is_delete || self.filter.admits(type_name, name));
        let of_tip = self.earlier.commit.as_ref().filter(|_| is_of_tip);
        if let Some(by) = consents.names.get(name).filter(|_| is_delete).or(of_tip) {
            due.consent = Some(by.clone());
        }
        if due.consent.is_none() && due.lost_path.is_none() {
            due.lost_path = self.earlier.lost_paths.keys().next().cloned();
        }
        due
    }
}

/// Keeps the due steps of before after a run that asks for none: no commit removed the names that a
/// working tree lacks, and a narrowed run leaves the last good commit as it was, so that the next
/// whole run finds again the steps that are still due. The reasons that held them are kept.
pub(crate) fn keep_due(record: &mut Record, before: &Record, is_worktree: bool, filter: &Filter) {
    if !is_worktree && !filter.is_narrow() {
        return;
    }
    let names: BTreeSet<ConnectionName> =
        record.connections.keys().chain(before.connections.keys()).cloned().collect();
    for name in names {
        let known = before.memory(&name).and_then(|memory| memory.due.as_ref());
        let now = record.memory(&name).and_then(|memory| memory.due.as_ref());
        let kept = if is_worktree {
            let memory = record.memory(&name);
            let is_ours = memory.is_some_and(|m| m.owned.is_some() || m.intent.is_some());
            known.cloned().filter(|_| is_ours)
        } else {
            let type_name = before.owned(&name).map_or("", |owned| &owned.type_name);
            now.and_then(|now| due_after_narrow_run(now, known, filter.admits(type_name, &name)))
        };
        if now != kept.as_ref() {
            record.edit(&name, |memory| memory.due = kept);
        }
    }
}

/// Keeps what a run that looks at a part of a commit read beside the last good commit, which it does not
/// renew.
pub(crate) fn keep_beside(
    good: &mut GoodCommit,
    part: BTreeMap<ConnectionName, DeclaredThen>,
    counts: BTreeMap<String, usize>,
) {
    let is_of_part = |path: &str| part.values().any(|then| lies_below(then, path));
    for (path, count) in counts.into_iter().filter(|(path, _)| is_of_part(path)) {
        let known = good.paths.entry(path).or_default();
        *known = count.max(*known);
    }
    for (name, now) in part {
        // A name that is held for a path keeps the files that it had there.
        let then = good.beside.entry(name).or_default();
        let files = then.files.drain(..).chain(now.files).collect::<BTreeSet<_>>();
        *then = DeclaredThen { files: files.into_iter().collect(), ..now };
    }
}

/// Forgets the loss of a path to which somebody consented. One that `today` reads keeps its files: those that
/// are broken still block their connections. Of another one only the path stays known, which may still
/// declare something.
pub(crate) fn forget_path(good: &mut GoodCommit, path: &str, today: &BTreeMap<String, usize>) {
    good.paths.remove(path);
    good.absent_paths.remove(path);
    if today.contains_key(path) {
        return;
    }
    good.absent_paths.insert(path.to_owned(), BTreeSet::new());
    let declared = Arc::make_mut(&mut good.declared).values_mut().chain(good.beside.values_mut());
    declared.for_each(|then| then.files.retain(|file| !is_at_or_below(file, path)));
}

/// Something that is due, as a narrowed run leaves it: nothing new is asked for by it.
fn due_after_narrow_run(now: &Due, known: Option<&Due>, is_of_the_run: bool) -> Option<Due> {
    if let Some(known) = known.filter(|_| !is_of_the_run) {
        return Some(known.clone());
    }
    let was_asked_for = known.is_some_and(Due::is_asked_for);
    let asked_by = match &now.asked_by {
        AskedBy::Commit(_) | AskedBy::WorkingTree if !was_asked_for => AskedBy::NoCommit,
        asked_by => asked_by.clone(),
    };
    let due = Due { asked_by, ..now.clone() };
    let was_kept_back = due.over_limit.is_some() || due.lost_path.is_some() || due.was_held;
    let tells_something = due.asked_by != AskedBy::NoCommit || was_kept_back;
    tells_something.then_some(due)
}

/// Paths that declared something in the last good commit and are missing or empty now, and the names
/// that each touched. `counts` are today's paths with the number of their documents; `then` those of
/// the last good commit read with today's config, where that is known. A path that the config no longer names
/// counts as lost only where the config names another one that is empty or missing and declared nothing then:
/// that one may be a mistyped form of it.
pub(crate) fn lost_paths(
    good: &GoodCommit,
    then: Option<&BTreeMap<String, usize>>,
    counts: &BTreeMap<String, usize>,
) -> NamesByPath {
    // A path without names is one whose loss somebody consented to: it is not lost any more.
    let absent = good.absent_paths.iter().filter(|(_, names)| !names.is_empty());
    let absent = absent.map(|(path, _)| path);
    let declared_then = |path: &str| {
        let recorded = good.paths.get(path).or_else(|| then?.get(path));
        recorded.is_some_and(|count| *count > 0) || absent.clone().any(|absent| absent == path)
    };
    let is_mistyped = counts.iter().any(|(path, count)| *count == 0 && !declared_then(path));
    let recorded = good.paths.iter().filter(|(_, count)| **count > 0).map(|(path, _)| path);
    let read_anew = then.into_iter().flatten().filter(|(_, n)| **n > 0).map(|(path, _)| path);
    let all = recorded.chain(read_anew).chain(absent.clone());
    let is_lost = |path: &&String| match counts.get(*path) {
        Some(count) => *count == 0,
        None => is_mistyped && !is_below_any(path, counts),
    };
    all.filter(is_lost).map(|path| (path.clone(), names_touched_below(good, path, None))).collect()
}

/// Whether one of today's paths reads what lies at a path.
pub(crate) fn is_below_any(path: &str, counts: &BTreeMap<String, usize>) -> bool {
    counts.keys().any(|above| is_at_or_below(path, above))
}

pub(crate) fn is_at_or_below(file: &str, path: &str) -> bool {
    let rest = file.strip_prefix(path);
    path == "." || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The names in which files below a path had a say, and the old names of their renames: a commit that takes a
/// rename back declares the connection under its old name. Files that one of the paths `but_read_by` reads do not
/// count.
pub(crate) fn names_touched_below(
    good: &GoodCommit,
    path: &str,
    but_read_by: Option<&BTreeMap<String, usize>>,
) -> BTreeSet<ConnectionName> {
    let is_about = |file: &String| {
        is_at_or_below(file, path) && !but_read_by.is_some_and(|paths| is_below_any(file, paths))
    };
    let declared = good.declared.iter().chain(&good.beside);
    let below = declared.filter(|(_, then)| then.files.iter().any(is_about));
    let below = below.flat_map(|(name, then)| then.renamed_from.iter().chain([name]));
    below.chain(good.absent_paths.get(path).into_iter().flatten()).cloned().collect()
}

/// The connections whose documents lie at or below a path.
pub(crate) fn named_below<'g>(
    good: &'g GoodCommit,
    path: &'g str,
) -> impl Iterator<Item = (&'g ConnectionName, &'g DeclaredThen)> {
    let declared = good.declared.iter().filter(|(name, _)| !good.left.contains(*name));
    declared.chain(&good.beside).filter(move |(_, then)| lies_below(then, path))
}

fn lies_below(then: &DeclaredThen, path: &str) -> bool {
    then.files.iter().any(|file| is_at_or_below(file, path))
}
