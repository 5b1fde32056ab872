//! Renames come first: they free the names that later steps need (rules 6 and 7).

use std::collections::BTreeSet;

use crate::desired::DesiredConnection;
use crate::name::ConnectionName;
use crate::plan::compare::LiveView;
use crate::plan::entry::{Decision, Why, attempt};
use crate::plan::judge::judge;
use crate::plan::renames::Pair;
use crate::plan::row::{Claim, Declared, Row, Rows, Settings, Sight};
use crate::plan::{Action, Change, ConnectionState};

use super::declared::{
    ADOPTED, Compared, Wipes, absent_layer_in_words, came_to_nothing, cannot_be_written,
    report_kept,
};
use super::tell_edit;

/// The renames of a plan.
#[derive(Default)]
struct Renames<'a> {
    /// Those that are due, a chain from its free end.
    due: Vec<Pair<'a>>,
    /// Those that cannot be made, since both names are live.
    refused: Vec<Pair<'a>>,
    /// Those whose new name is ours already, while a connection of ours still has the old one.
    inert: Vec<Pair<'a>>,
}

/// Decides all renames in their order, and notes in the rows of the old names what that means for
/// them.
pub(crate) fn decide_renames<'a>(rows: &mut Rows<'a>, settings: &Settings<'_>) -> Vec<Decision> {
    let renames = arrange(rows, settings);
    let mut decisions = Vec::new();
    let claim = |rows: &mut Rows<'a>, old: &ConnectionName, claim: Claim<'a>| {
        if let Some(row) = rows.get_mut(old) {
            row.claim = Some(claim);
        }
    };
    for (new, old) in renames.inert {
        claim(rows, old, Claim::Inert(new));
    }
    for (new, old) in renames.refused {
        let row = rows.get(new).filter(|row| settings.run.filter.admits(row.type_name(), new));
        if let Some(row) = row {
            let reason = format!("cannot be renamed from `{old}`: both names are live");
            let advice = format!(
                "take `renamedFrom` out of `{new}`, or delete one of the two in the console"
            );
            decisions.push(Decision::blocked(row, Why::new(reason).advice(advice)));
        }
        claim(rows, old, Claim::Locks(new));
    }
    for (new, old) in renames.due {
        let decision = rows.get(new).zip(rows.get(old)).and_then(|(row, old)| {
            let is_admitted = settings.run.filter.admits(row.type_name(), new);
            let desired = row.wanted().filter(|_| is_admitted)?;
            let mut decision = decide_rename(row, old, desired, settings);
            tell_edit(&mut decision, old);
            judge(&mut decision, row, settings);
            Some(decision)
        });
        let is_planned = decision.as_ref().is_some_and(|decision| {
            decision.entry.change.as_ref().is_some_and(|c| c.action == Action::Rename && !c.held)
        });
        decisions.extend(decision);
        claim(rows, old, if is_planned { Claim::Frees(new) } else { Claim::Locks(new) });
    }
    decisions
}

/// Finds the renames that are due. A rename acts if the old name is live and the new one is not; a
/// name that an earlier rename frees counts as not live.
fn arrange<'a>(rows: &Rows<'a>, settings: &Settings<'_>) -> Renames<'a> {
    let is_shown = |name: &ConnectionName| rows.get(name).is_some_and(|row| row.view().is_some());
    let mut open: Vec<Pair<'a>> = rows
        .values()
        .filter_map(|row| row.wanted()?.rename())
        .filter(|(new, old)| is_there(rows, old) && !was_renamed_before(rows, settings, new, old))
        .collect();
    let mut renames = Renames::default();
    let mut freed = BTreeSet::new();
    loop {
        let before = open.len();
        open.retain(|(new, old)| {
            let acts = !is_shown(new) || freed.contains(new);
            if acts {
                freed.insert(*old);
                renames.due.push((new, old));
            }
            !acts
        });
        if open.len() == before {
            break;
        }
    }
    for (new, old) in open {
        let declared = rows.get(old).and_then(Row::wanted);
        // The end of a chain: git declares the old name for a connection that is to be renamed too.
        let moves_on = declared
            .and_then(|document| document.options.renamed_from.as_ref())
            .is_some_and(|older| is_to_be_renamed(rows, settings, older));
        if rows.get(new).is_some_and(|row| row.owned().is_some()) {
            if is_to_be_renamed(rows, settings, old) {
                renames.inert.push((new, old));
            }
        } else if declared.is_none() || moves_on {
            renames.refused.push((new, old));
        }
    }
    renames
}

/// Whether a connection is live under a name, also where it could not be read.
fn is_there(rows: &Rows<'_>, name: &ConnectionName) -> bool {
    rows.get(name).is_some_and(|row| matches!(row.sight, Sight::Shown(_) | Sight::Unclear(_)))
}

/// Whether a connection of ours has a name under which git declares no connection any more.
fn is_to_be_renamed(rows: &Rows<'_>, settings: &Settings<'_>, name: &ConnectionName) -> bool {
    let row = rows.get(name).filter(|row| row.wanted().is_none());
    row.is_some_and(|row| row.ours(&settings.compare).is_some())
}

/// Whether the rename was made before, and the new name is known as another connection than the one that
/// has the old name now: that one was made after the rename.
fn was_renamed_before(
    rows: &Rows<'_>,
    settings: &Settings<'_>,
    new: &ConnectionName,
    old: &ConnectionName,
) -> bool {
    let known = rows.get(new).and_then(Row::owned);
    let known = known.filter(|owned| owned.renamed_from.as_ref() == Some(old));
    let shown = rows.get(old).and_then(|row| row.view()?.id());
    let is_another =
        known.and_then(|owned| owned.id.as_ref()).zip(shown).is_some_and(|(id, shown)| id != shown);
    is_another && !is_to_be_renamed(rows, settings, old)
}

/// Decides one rename: `row` is the new name's, `old` the old one's.
fn decide_rename(
    row: &Row<'_>,
    old: &Row<'_>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Decision {
    if desired.options.suspend {
        return Decision::new(row, ConnectionState::Suspended, None);
    }
    let view = match old_view(row, old, desired, settings) {
        Ok(view) => view,
        Err(why) => return Decision::blocked(row, why),
    };
    let compared = Compared::of(old, view, desired, settings, true);
    if let Some(blocked) = compared.not_adopted(row) {
        return blocked;
    }
    let wipes = compared.would_wipe();
    let Compared { ours, comparison, .. } = compared;
    if let Wipes::Yes(reason) = wipes {
        return Decision::blocked(row, Why::new(reason));
    }
    let change = Change {
        action: Action::Rename,
        previous_name: Some(view.listed.name.clone()),
        reason: ours.is_none().then(|| ADOPTED.to_owned()),
        fields: comparison.written(),
        ..Change::of(row)
    };
    let mut decision = Decision::new(row, ConnectionState::Pending, None).with(change);
    report_kept(&mut decision, row, &comparison);
    decision.proven_readable = comparison.proven_readable;
    // A list may leave out a secret that the PUT would wipe.
    decision.needs_reading = view.own.is_none();
    if let Some(path) = row.absent_layer.filter(|_| !settings.consents_to_absent_layers()) {
        decision.entry.hold(absent_layer_in_words(path, settings));
    }
    decision
}

/// The connection to be renamed, or why that cannot be done now.
fn old_view<'a>(
    row: &Row<'_>,
    old: &Row<'a>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) -> Result<LiveView<'a>, Why> {
    let (new_name, old_name) = (row.name, old.name);
    let is_freed = matches!(row.claim, Some(Claim::Frees(_)));
    if matches!(row.claim, Some(Claim::Locks(_))) || (row.view().is_some() && !is_freed) {
        return Err(Why::new(format!("waits for the name `{new_name}`, which is not free")));
    }
    if old.wanted().is_some_and(|desired| desired.options.suspend) {
        return Err(Why::new(format!("waits until `{old_name}` is no longer suspended")));
    }
    if matches!(old.declared, Declared::Invalid(_)) {
        let reason = format!("waits for the document of `{old_name}`, which is not valid");
        return Err(Why::new(reason));
    }
    if let Some(reason) = cannot_be_written(desired, settings) {
        return Err(Why::new(reason));
    }
    let view = match (&row.sight, &old.sight) {
        (Sight::Unclear(problem), _) if !is_freed => return Err(Why::new(problem)),
        (_, Sight::Shown(view)) => view,
        (_, Sight::Unclear(problem)) => return Err(Why::new(problem)),
        (_, Sight::Gone | Sight::Unlisted) => {
            return Err(Why::new(format!("`{old_name}` is not live any more")));
        }
    };
    if view.listed.type_name != desired.connection_type.name {
        let (name, live_type) = (&view.listed.name, &view.listed.type_name);
        let reason = format!("cannot be renamed from `{name}`: that is of type {live_type}");
        let advice = "rename it in one commit, and change its type in a later one";
        return Err(Why::new(reason).advice(advice));
    }
    if came_to_nothing(row.memory, desired, attempt::RENAME, settings) {
        let name = &view.listed.name;
        return Err(Why::new(format!("not converging: the server keeps the name `{name}`")));
    }
    Ok(*view)
}
