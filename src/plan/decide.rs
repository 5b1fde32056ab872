//! Decides one connection: pure, one row at a time. One that git no longer declares is decided here:
//! deleted, held, or forgotten, by the rules that look at one connection alone (rule 3); those that
//! look at all deletes together are in [`super::limits`].

use serde_json::Value;

use super::compare::LiveView;
use super::entry::{Decision, Why};
use super::equality::Equality;
use super::row::{Claim, Declared, Row, Settings, Sight};
use super::{Action, Change, ConnectionState, FieldChange, Origin};
use crate::catalog::{self, Field, hidden, is_bookkeeping};
use crate::desired::{holds_env, lies_in};
use crate::name::ConnectionName;
use crate::pointer;
use crate::record::{AskedBy, Due, Memory, Owned};
use crate::secret::SENSITIVE;

mod declared;
mod renamed;

pub(crate) use declared::ADOPTED;
pub(crate) use renamed::decide_renames;

/// Why a connection is neither deleted nor replaced that is not the one of the inventory.
pub(crate) const NOT_OURS: &str =
    "the connection that is live under that name is not the one in the inventory";

/// Decides one row; `None` where there is nothing to say of it.
pub(crate) fn decide(row: &Row<'_>, settings: &Settings<'_>) -> Option<Decision> {
    let mut decision = match row.declared {
        Declared::Invalid(invalid) => {
            let mut decision = Decision::blocked(row, Why::new(&invalid.reason));
            if let Some(change) = &mut decision.entry.change {
                change.place.clone_from(&invalid.place);
                change.rules.clone_from(&invalid.rules);
            }
            decision
        }
        Declared::Wanted(desired) => declared::decide_declared(row, desired, settings),
        Declared::Nothing => undeclared(row, settings)?,
    };
    tell_edit(&mut decision, row);
    Some(decision)
}

/// Tells of each change of fields that somebody else moved who edited the connection last.
fn tell_edit(decision: &mut Decision, row: &Row<'_>) {
    let Some(view) = row.view() else { return };
    for change in decision.entry.changes_mut() {
        if change.drifted_fields().next().is_some() {
            change.edited = view.last_edit();
        }
    }
}

fn undeclared(row: &Row<'_>, settings: &Settings<'_>) -> Option<Decision> {
    // While a rename is not done, its commit counts as declaring the old name.
    match row.claim {
        Some(Claim::Frees(_)) => return None,
        Some(Claim::Locks(_)) if row.owned().is_some() => return None,
        _ => {}
    }
    if let Some(owned) = row.owned() {
        return removed(row, owned, settings);
    }
    if row.view().is_some() {
        let mut decision = Decision::new(row, ConnectionState::Unmanaged, None);
        if row.memory.is_some_and(|memory| memory.degraded.is_some()) {
            // The connection whose delete was not deployed has been made again.
            decision.memory(row).degraded = None;
        }
        return Some(decision);
    }
    // A delete that the workers did not get: there is nothing left to send, so it is shown until
    // somebody makes the connection again or forgets it.
    let degraded = row.memory?.degraded.as_ref()?;
    let type_name = degraded.deleted.clone()?;
    let reason = format!("deleted, but not deployed: {}", degraded.reason);
    let mut decision = Decision::new(row, ConnectionState::Degraded, Some(reason));
    decision.entry.type_name = type_name;
    Some(decision)
}

fn removed(row: &Row<'_>, owned: &Owned, settings: &Settings<'_>) -> Option<Decision> {
    let view = match &row.sight {
        Sight::Shown(view) => view,
        Sight::Gone => {
            let decision = Decision::new(row, ConnectionState::Unmanaged, None);
            return Some(Decision { leaves: true, memory: Some(Memory::default()), ..decision });
        }
        Sight::NotKnown => return None,
        Sight::Unclear(problem) => return Some(Decision::blocked(row, Why::new(problem))),
    };
    if !settings.policy.prune {
        // It leaves the inventory only if it is known that git no longer declares it.
        if !settings.loaded_whole
            || settings.is_worktree()
            || settings.earlier.is_last_good_missing()
            || !settings.earlier.lost_paths.is_empty()
            || !settings.unread_files.is_empty()
            || settings.earlier.still_declared.contains_key(row.name)
        {
            return None;
        }
        let mut decision = Decision::new(row, ConnectionState::Unmanaged, None);
        decision.entry.type_name.clone_from(&view.listed.type_name);
        *decision.memory(row) = Memory::default();
        return Some(decision);
    }
    let mut decision = delete(row, owned, view);
    if let Some(why) = why_delete_held(row, owned, settings) {
        decision.entry.hold(why);
    }
    // A create tells no id, so the first reading after it does.
    if owned.id.is_none() && row.ours(&settings.compare).is_some() {
        let id = view.id().cloned();
        let owned = &mut decision.memory(row).owned;
        owned.iter_mut().for_each(|owned| owned.id.clone_from(&id));
    }
    Some(decision)
}

fn delete(row: &Row<'_>, owned: &Owned, view: &LiveView<'_>) -> Decision {
    let reason = match due_of(row).map(|due| &due.asked_by) {
        Some(AskedBy::Commit(commit)) => {
            format!("no longer in git since commit {}", commit.short())
        }
        _ => "no longer in git".to_owned(),
    };
    let change = Change {
        action: Action::Delete,
        reason: Some(reason.clone()),
        fields: deleted_values(view, owned),
        ..Change::of(row)
    };
    let mut decision = Decision::new(row, ConnectionState::Pending, Some(reason));
    decision.entry.type_name.clone_from(&view.listed.type_name);
    decision.with(change)
}

/// The values that a delete takes away: those that say more than a default. Of a field that holds a
/// reference the text is shown, and of a secret nothing. A value that git did not declare, or
/// ignored, may be one of the environment or a key that somebody uploaded: it is not shown.
fn deleted_values(view: &LiveView<'_>, owned: &Owned) -> Vec<FieldChange> {
    let Some(own_type) = catalog::find(&view.listed.type_name) else { return Vec::new() };
    let is_shown = |key: &str| {
        let is_no_value = |field: &Field| field.is_secret() || field.filled_by_server;
        !["type", "name"].contains(&key)
            && !own_type.field(key).is_some_and(is_no_value)
            && !is_bookkeeping(own_type, key)
    };
    let shown = view.body().iter().filter(|(key, _)| is_shown(key)).filter_map(|(key, value)| {
        let path = pointer::child("", key);
        let base = || owned.base.iter().filter(|(known, _)| lies_in(known, &path));
        let reference = base().find(|(_, field)| holds_env(&field.declared));
        let (before, sensitive) = match reference {
            Some((known, field)) if *known == path => (field.declared.clone(), true),
            None if base().next().is_some() => {
                (hidden::conceal_at(own_type, &path, value, view.body()), false)
            }
            _ => (Value::from(SENSITIVE), true),
        };
        (!Equality::of(own_type.field(key)).holds(None, Some(value))).then(|| FieldChange {
            path,
            before: Some(before),
            after: None,
            base: None,
            sensitive,
            origin: Origin::Git,
        })
    });
    shown.collect()
}

/// Why the delete of one connection is held: the first reason. A missing commit or an unread file points at a
/// path to mend, so it comes before `protect`.
fn why_delete_held(row: &Row<'_>, owned: &Owned, settings: &Settings<'_>) -> Option<Why> {
    let protected = || {
        Why::new("held: it is protected; removing its document does not lift `protect`")
            .advice("declare it again without `protect`, apply that, then remove it")
    };
    why_not_known(row, owned, settings)
        .or_else(|| why_both_live(row))
        .or_else(|| why_not_asked_for(row, None, settings))
        .or_else(|| why_not_read(row, settings))
        .or_else(|| is_protected(row).then(protected))
        .or_else(|| why_of_worktree("delete", settings))
}

/// Why the replace of one connection by the type `by` is held: the first reason.
pub(super) fn why_replace_held(
    row: &Row<'_>,
    owned: &Owned,
    by: &str,
    settings: &Settings<'_>,
) -> Option<Why> {
    let protected = || {
        Why::new("held: it is protected").advice(format!(
            "lift `protect` first: declare the {} connection without it in a commit of its own",
            owned.type_name
        ))
    };
    let not_pruned = || {
        Why::new("held: a replace deletes the old connection, and `prune` is off")
            .advice("set `prune: true`, or give it another name in git")
    };
    (is_protected(row).then(protected))
        .or_else(|| why_not_known(row, owned, settings))
        .or_else(|| why_not_asked_for(row, Some(by), settings))
        .or_else(|| why_of_worktree("replace", settings))
        .or_else(|| (!settings.policy.prune).then(not_pruned))
}

fn is_protected(row: &Row<'_>) -> bool {
    row.memory.is_some_and(Memory::is_protected)
}

fn due_of<'a>(row: &Row<'a>) -> Option<&'a Due> {
    row.memory?.due.as_ref()
}

/// The conditions without which it is not known that the connection is the one to delete.
fn why_not_known(row: &Row<'_>, owned: &Owned, settings: &Settings<'_>) -> Option<Why> {
    if let Some(problem) = settings.live.why_incomplete() {
        return Some(Why::new(format!("held: {problem}")));
    }
    if !settings.loaded_whole {
        return Some(Why::new("held: the commit did not load whole"));
    }
    if row.ours(&settings.compare).is_none() {
        let advice = format!("`{}` takes it out of the inventory", forget_command(row.name));
        return Some(Why::new(format!("held: {NOT_OURS}")).advice(advice));
    }
    // Without a state, a delete needs live to equal the declaration of the base revision.
    let shows =
        |view: LiveView<'_>| view.shows(&owned.type_name, &owned.base, settings.compare.keys);
    let is_as_declared = || row.view().is_some_and(shows);
    (settings.compare.is_stateless && !is_as_declared()).then(|| {
        Why::new("held: live is not what the base revision declared")
            .advice("compare it in the console, then delete it there")
    })
}

/// A commit added a rename from this name, and both names are live.
fn why_both_live(row: &Row<'_>) -> Option<Why> {
    let new = due_of(row)?.moved_to.as_ref().filter(|new| row.claim == Some(Claim::Inert(new)))?;
    let why = Why::new(format!("held: `{new}` has it as `renamedFrom`, and both are live"));
    Some(why.advice(format!("take `renamedFrom` out of `{new}`, and it is deleted")))
}

/// Why a delete, or a replace by the type `by`, is held that no commit is known to have asked for.
fn why_not_asked_for(row: &Row<'_>, by: Option<&str>, settings: &Settings<'_>) -> Option<Why> {
    let due = due_of(row);
    let is_asked_for = due.is_some_and(|due| due.is_asked_for() && due.replaces_by() == by);
    if is_asked_for || settings.allows_delete_of(row.name) {
        return None;
    }
    let (allow, forget) = (allow_delete_command(row.name), forget_command(row.name));
    let (no_commit, advice) = if by.is_some() {
        ("held: no commit changed its type", format!("`{allow}` replaces it"))
    } else {
        let advice = format!("`{allow}` deletes it, `{forget}` leaves it alone");
        ("held: no commit removed it", advice)
    };
    Some(Why::new(not_asked_for(row, no_commit, settings)).advice(advice))
}

/// The reason of the above; `no_commit` is the beginning of that sentence.
fn not_asked_for(row: &Row<'_>, no_commit: &str, settings: &Settings<'_>) -> String {
    let (due, earlier) = (due_of(row), &settings.earlier);
    if earlier.is_last_good_missing() || due.is_some_and(|due| due.asked_by == AskedBy::NotKnown) {
        let why = if settings.is_worktree() {
            "held: the config has changed since the last good commit, which a run on the working tree \
             does not read"
        } else {
            "held: the repository no longer has the last good commit"
        };
        return format!("{why}, so whether a commit asked for it is not known");
    }
    if let Some(path) = earlier.still_declared.get(row.name) {
        return format!(
            "{no_commit}: the path `{path}`, which the config no longer reads, may still declare it"
        );
    }
    if let Some(AskedBy::RemovedBy(commit)) = due.map(|due| &due.asked_by) {
        return format!(
            "held: commit {} removed it and a later one declares another type, so no commit asked \
             for a replace",
            commit.short()
        );
    }
    format!(
        "{no_commit} since the last good one: a path, the target or the config may have changed, or a \
         narrowed run created it"
    )
}

/// Why a delete is held of a name that a path or file which is not read may still declare.
fn why_not_read(row: &Row<'_>, settings: &Settings<'_>) -> Option<Why> {
    if settings.allows_delete_of(row.name) {
        return None;
    }
    let allow = allow_delete_command(row.name);
    if let Some(path) = settings.earlier.still_declared.get(row.name) {
        let why = Why::new(format!(
            "held: the path `{path}`, which the config no longer reads, may still declare it"
        ));
        return Some(why.advice(format!("read the path again, or `{allow}` deletes it")));
    }
    let (_, note) = settings.unread_files.first_key_value()?;
    let why = Why::new(format!("held: a file that is not read may declare it; {note}"));
    Some(why.advice(format!(
        "make it a file that is read or move it elsewhere, or `{allow}` deletes the connection"
    )))
}

/// Why a run on the working tree, which is no decision to delete anything, holds a delete or replace.
fn why_of_worktree(action: &str, settings: &Settings<'_>) -> Option<Why> {
    (settings.is_worktree() && !settings.allows_deletes()).then(|| {
        Why::new(format!(
            "held: a run on the working tree does not {action} without `--allow-deletes`"
        ))
        .advice("commit, or run `apinizer-gitops apply --worktree --allow-deletes`")
    })
}

/// The command that consents to the delete of exactly one name.
pub(super) fn allow_delete_command(name: &ConnectionName) -> String {
    let between = if name.as_str().starts_with('-') { '=' } else { ' ' };
    let word = for_the_shell(name.as_str());
    format!("apinizer-gitops apply --allow-delete{between}{word}")
}

/// The command that takes a name out of the inventory.
pub(crate) fn forget_command(name: &ConnectionName) -> String {
    let dashes = if name.as_str().starts_with('-') { "-- " } else { "" };
    format!("apinizer-gitops forget {dashes}{}", for_the_shell(name.as_str()))
}

/// A name as one word of a command line, which no shell takes apart.
pub(crate) fn for_the_shell(name: &str) -> String {
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_command_line() {
        for (name, word) in [("a b", "'a b'"), ("it's", r"'it'\''s'"), ("-x", "'-x'")] {
            assert_eq!(for_the_shell(name), word);
        }
    }
}
