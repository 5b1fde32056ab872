//! Decides one connection: pure, one row at a time. One that git no longer declares is decided here:
//! deleted, held, or forgotten, by the rules that look at one connection alone (rule 3); those that
//! look at all deletes together are in [`super::limits`].

use serde_json::Value;

use super::compare::LiveView;
use super::entry::Decision;
use super::equality::equal;
use super::row::{Claim, Declared, Row, Rules, Sight};
use super::{Action, Change, FieldChange, Origin, State};
use crate::catalog::{self, Field, hidden, is_bookkeeping};
use crate::desired::{DesiredConnection, holds_env, lies_in};
use crate::name::ConnectionName;
use crate::pointer;
use crate::record::{AskedBy, Due, Memory, Owned};
use crate::secret::SENSITIVE;

mod declared;
mod renamed;

pub(crate) use declared::ADOPTED;
pub(crate) use renamed::decide_renames;

/// Decides one row; `None` where there is nothing to say of it.
pub(crate) fn decide(row: &Row<'_>, rules: &Rules<'_>) -> Option<Decision> {
    let mut decision = match row.declared {
        Declared::Invalid(invalid) => {
            let mut decision = Decision::blocked(row, invalid.reason.clone(), None);
            if let Some(change) = &mut decision.entry.change {
                change.place.clone_from(&invalid.place);
                change.rules.clone_from(&invalid.rules);
            }
            decision
        }
        Declared::Wanted(desired) => declared::decide(row, desired, rules),
        Declared::Absent => absent(row, rules)?,
    };
    tell_edit(&mut decision, row);
    decision.settle_memory(row);
    Some(decision)
}

/// Tells of each change of fields that somebody else moved who edited the connection last.
fn tell_edit(decision: &mut Decision, row: &Row<'_>) {
    let Some(view) = row.view() else { return };
    for change in decision.entry.change.iter_mut().chain(&mut decision.entry.kept) {
        if change.drifted_fields().next().is_some() {
            change.edited = view.last_edit();
        }
    }
}

fn absent(row: &Row<'_>, rules: &Rules<'_>) -> Option<Decision> {
    // While a rename is not done, its commit counts as declaring the old name.
    match row.claim {
        Some(Claim::Frees(_)) => return None,
        Some(Claim::Locks(_)) if row.owned().is_some() => return None,
        _ => {}
    }
    if let Some(owned) = row.owned() {
        return removed(row, owned, rules);
    }
    if row.view().is_some() {
        let mut decision = Decision::new(row, State::Unmanaged, None);
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
    let mut decision = Decision::new(row, State::Degraded, Some(reason));
    decision.entry.type_name = type_name;
    Some(decision)
}

/// Why something is held, and the way past it.
type Hold = (String, Option<String>);

fn removed(row: &Row<'_>, owned: &Owned, rules: &Rules<'_>) -> Option<Decision> {
    let view = match &row.live {
        Sight::Shown(view) => view,
        Sight::Gone => {
            let mut decision = Decision::new(row, State::Unmanaged, None);
            *decision.memory(row) = Memory::default();
            decision.gone = true;
            return Some(decision);
        }
        Sight::Unlisted(_) => return None,
        Sight::Unread(problem) => return Some(Decision::blocked(row, problem.clone(), None)),
    };
    if !rules.policy.prune {
        let mut decision = Decision::new(row, State::Unmanaged, None);
        decision.entry.type_name.clone_from(&view.entry.type_name);
        *decision.memory(row) = Memory::default();
        return Some(decision);
    }
    let mut decision = delete(row, owned, view);
    if let Some((reason, advice)) = delete_hold(row, owned, view, rules) {
        decision.entry.hold(reason, advice);
    }
    // A create tells no id, so the first reading after it does.
    if owned.id.is_none() && view.is_the_connection_of(owned, &rules.compare) {
        let id = view.id().cloned();
        let owned = &mut decision.memory(row).owned;
        owned.iter_mut().for_each(|owned| owned.id.clone_from(&id));
    }
    Some(decision)
}

fn delete(row: &Row<'_>, owned: &Owned, view: &LiveView<'_>) -> Decision {
    let asked_by = row.memory.and_then(|m| m.due.as_ref()).map(|due| &due.asked_by);
    let reason = match asked_by {
        Some(AskedBy::Commit(commit)) => {
            format!("no longer in git since commit {}", commit.short())
        }
        _ => "no longer in git".to_owned(),
    };
    let change = Change {
        action: Action::Delete,
        reason: Some(reason.clone()),
        fields: values_that_go(view, owned),
        ..Change::of(row)
    };
    let mut decision = Decision::new(row, State::Pending, Some(reason));
    decision.entry.type_name.clone_from(&view.entry.type_name);
    decision.with(change)
}

/// The values that a delete takes away: those that say more than a default. Of a field that holds a
/// reference the text is shown, and of a secret nothing. A value that git did not declare, or
/// ignored, may be one of the environment or a key that somebody uploaded: it is not shown.
fn values_that_go(view: &LiveView<'_>, owned: &Owned) -> Vec<FieldChange> {
    let Some(own_type) = catalog::find(&view.entry.type_name) else { return Vec::new() };
    let is_shown = |key: &str| {
        let is_no_value = |field: &Field| field.is_secret() || field.filled_by_server;
        !["type", "name"].contains(&key)
            && !own_type.field(key).is_some_and(is_no_value)
            && !is_bookkeeping(own_type, key)
    };
    let shown = view.body().iter().filter(|(key, _)| is_shown(key)).filter_map(|(key, value)| {
        let path = format!("/{}", pointer::escaped(key));
        let base = || owned.base.iter().filter(|(known, _)| lies_in(known, &path));
        let reference = base().find(|(_, field)| holds_env(&field.declared));
        let (before, sensitive) = match reference {
            Some((known, field)) if *known == path => (field.declared.clone(), true),
            None if base().next().is_some() => {
                (hidden::mask_at(own_type, &path, value, view.body()), false)
            }
            _ => (Value::from(SENSITIVE), true),
        };
        (!equal(own_type.field(key), None, Some(value))).then(|| FieldChange {
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

/// Why one delete is held, whatever the others are.
fn delete_hold(
    row: &Row<'_>,
    owned: &Owned,
    view: &LiveView<'_>,
    rules: &Rules<'_>,
) -> Option<Hold> {
    let name = row.name;
    let (allow, forget) = (allow_delete_command(name), forget_command(name));
    let due = row.memory.and_then(|memory| memory.due.as_ref());
    if let Some(hold) = not_known_hold(rules) {
        return Some(hold);
    }
    if !view.is_the_connection_of(owned, &rules.compare) {
        let reason =
            "held: the connection that is live under that name is not the one in the inventory"
                .to_owned();
        return Some((reason, Some(format!("`{forget}` takes it out of the inventory"))));
    }
    if let Some(hold) = moved_from_base(owned, view, rules) {
        return Some(hold);
    }
    let moved_to = due.and_then(|due| due.moved_to.as_ref());
    if let Some(new) = moved_to.filter(|new| row.claim == Some(Claim::Inert(new))) {
        let reason = format!("held: `{new}` has it as `renamedFrom`, and both are live");
        let advice = format!("take `renamedFrom` out of `{new}`, and it is deleted");
        return Some((reason, Some(advice)));
    }
    if !due.is_some_and(Due::asks_for_a_delete) && !rules.allows_delete_of(name) {
        let advice = format!("`{allow}` deletes it, `{forget}` leaves it alone");
        return Some((not_asked_for(row, due, "held: no commit removed it", rules), Some(advice)));
    }
    if let Some(not_read) = rules.not_read.first()
        && !rules.allows_delete_of(name)
    {
        let reason = format!("held: a file that is not read may declare it; {not_read}");
        let advice = format!(
            "make it a file that is read or move it elsewhere, or `{allow}` deletes the connection"
        );
        return Some((reason, Some(advice)));
    }
    if owned.protect {
        let reason =
            "held: it is protected; removing its document does not lift `protect`".to_owned();
        let advice = "declare it again without `protect`, apply that, then remove it".to_owned();
        return Some((reason, Some(advice)));
    }
    worktree_hold("delete", rules)
}

/// Why a replace is held, whatever else is deleted.
pub(super) fn replace_hold(
    row: &Row<'_>,
    owned: &Owned,
    view: &LiveView<'_>,
    desired: &DesiredConnection,
    rules: &Rules<'_>,
) -> Option<Hold> {
    if owned.protect {
        let advice = format!(
            "lift `protect` first: declare the {} connection without it in a commit of its own",
            owned.type_name
        );
        return Some(("held: it is protected".to_owned(), Some(advice)));
    }
    if let Some(hold) = not_known_hold(rules)
        .or_else(|| worktree_hold("replace", rules))
        .or_else(|| moved_from_base(owned, view, rules))
    {
        return Some(hold);
    }
    let due = row.memory.and_then(|memory| memory.due.as_ref());
    let wanted = desired.connection_type.name;
    let is_asked_for = due.is_some_and(|due| due.asks_for_a_replace_by(wanted));
    if !is_asked_for && !rules.allows_delete_of(row.name) {
        let advice = format!("`{}` replaces it", allow_delete_command(row.name));
        return Some((
            not_asked_for(row, due, "held: no commit changed its type", rules),
            Some(advice),
        ));
    }
    (!rules.policy.prune).then(|| {
        let advice = "set `prune: true`, or give it another name in git".to_owned();
        ("held: a replace deletes the old connection, and `prune` is off".to_owned(), Some(advice))
    })
}

/// The conditions without which no delete can be decided.
fn not_known_hold(rules: &Rules<'_>) -> Option<Hold> {
    if let Some((type_name, problem)) = rules.live.incomplete.first_key_value() {
        let reason = format!("held: the list of {type_name} is not complete ({problem})");
        return Some((reason, None));
    }
    (!rules.loaded_whole).then(|| ("held: the commit did not load whole".to_owned(), None))
}

/// Without a state, a delete needs live to equal the declaration of the base revision.
fn moved_from_base(owned: &Owned, view: &LiveView<'_>, rules: &Rules<'_>) -> Option<Hold> {
    let is_as_declared = || view.shows(&owned.type_name, &owned.base, rules.compare.keys);
    if !rules.compare.stateless || is_as_declared() {
        return None;
    }
    let reason = "held: live is not what the base revision declared".to_owned();
    Some((reason, Some("compare it in the console, then delete it there".to_owned())))
}

fn worktree_hold(what: &str, rules: &Rules<'_>) -> Option<Hold> {
    if !rules.is_worktree() || rules.allows_deletes() {
        return None;
    }
    let advice = "commit, or run `apinizer-gitops apply --worktree --allow-deletes`".to_owned();
    Some((format!("held: a run on the working tree does not {what} without consent"), Some(advice)))
}

/// Why a delete or replace is held that no commit is known to have asked for; `no_commit` is the
/// beginning of that sentence.
fn not_asked_for(row: &Row<'_>, due: Option<&Due>, no_commit: &str, rules: &Rules<'_>) -> String {
    let history = &rules.history;
    if history.is_last_good_missing() || due.is_some_and(|due| due.asked_by == AskedBy::NotKnown) {
        return "held: the repository no longer has the last good commit, so whether a commit asked for \
                it is not known"
            .to_owned();
    }
    if let Some(path) = history.still_declared.get(row.name) {
        return format!(
            "{no_commit}: the path `{path}`, which the config no longer reads, still declares it"
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
