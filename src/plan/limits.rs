//! The limits that look at all deletes and replaces of a run together (rule 3): `max_deletes` and lost
//! paths.

use super::entry::{ALLOW_DELETES, Decision, Why, lost_path_in_words};
use super::row::{Rows, Settings};
use crate::config::MaxDeletes;
use crate::record::{Due, OverLimit};

/// How many deletes a share allows at least: of a small inventory it would allow none.
const FEWEST_OF_A_SHARE: usize = 3;

/// How many deletes a run may make on an inventory of that size: a share is rounded down, a count is
/// exact.
pub(crate) fn allowed(max: MaxDeletes, inventory: usize) -> usize {
    match max {
        MaxDeletes::Percent(percent) => {
            (inventory * usize::from(percent) / 100).max(FEWEST_OF_A_SHARE)
        }
        MaxDeletes::Count(count) => count,
    }
}

/// Holds the deletes and replaces that nothing else holds, if they are too many together or a path
/// is lost, and keeps the reason in what is remembered.
pub(crate) fn limit(decisions: &mut [Decision], rows: &Rows<'_>, settings: &Settings<'_>) {
    let deleted_elsewhere = decisions.iter().filter(|decision| decision.leaves).count();
    let owned = rows.values().filter(|row| row.owned().is_some()).count();
    let is_due = |decision: &&Decision| {
        decision.entry.deletes()
            && decision.entry.change.as_ref().is_some_and(|change| !change.held)
    };
    let group = Deletes {
        max: settings.policy.max_deletes,
        due: decisions.iter().filter(is_due).count(),
        inventory: owned - deleted_elsewhere,
        deleted_elsewhere,
    };
    let lost = settings.earlier.lost_paths.keys().next();
    for decision in decisions.iter_mut().filter(|decision| is_due(&&**decision)) {
        let Some(row) = rows.get(&decision.entry.name) else { continue };
        let known = row.memory.and_then(|memory| memory.due.clone());
        let mut due = known.clone().unwrap_or_default();
        due.over_limit = group.over_limit(due.over_limit.as_ref());
        due.lost_path = due.lost_path.or_else(|| lost.cloned());
        let consent = due.consent.as_ref().filter(|_| !settings.without_consents);
        if consent.is_some() || settings.allows_deletes() {
            due.was_held |= due.over_limit.is_some() || due.lost_path.is_some();
            (due.over_limit, due.lost_path) = (None, None);
        }
        if let Some(why) = in_words(&due, &group, lost) {
            decision.entry.hold(why);
        }
        let is_worth_keeping = known.is_some() || due != Due::default();
        decision.memory(row).due = Some(due).filter(|_| is_worth_keeping);
    }
}

/// All deletes and replaces that nothing but the limit would hold.
struct Deletes {
    max: MaxDeletes,
    due: usize,
    /// The size of the inventory. Connections that somebody else deleted and that git does not declare do not
    /// count; those that are to be deleted do.
    inventory: usize,
    /// How many more it held before, which somebody else deleted.
    deleted_elsewhere: usize,
}

impl Deletes {
    /// The limit that holds a delete now, where `before` held it so far.
    fn over_limit(&self, before: Option<&OverLimit>) -> Option<OverLimit> {
        let all = self.inventory + self.deleted_elsewhere;
        let is_whole = all >= 2 && self.due >= 1 && self.due >= self.inventory;
        let whole = || OverLimit { due: all, inventory: all, ..self.as_limit() };
        match before {
            Some(before) if is_whole && !before.is_whole() => Some(whole()),
            // A held delete stays held until `max_deletes` is raised: it has to allow more than it did then,
            // and all that is due now. A share is taken of the smaller inventory, of then or of now. Nothing
            // of this frees the delete of a whole inventory.
            Some(before) => {
                let raised = allowed(self.max, before.inventory.min(self.inventory));
                let is_free = raised > before.allowed && self.due <= raised && !before.is_whole();
                (!is_free).then(|| before.clone())
            }
            None if is_whole => Some(whole()),
            None => Some(self.as_limit()).filter(|limit| self.due > limit.allowed),
        }
    }

    fn as_limit(&self) -> OverLimit {
        let Self { max, due, inventory, .. } = *self;
        OverLimit { due, allowed: allowed(max, inventory), inventory }
    }
}

/// Why a due delete is held: the rule with its numbers. `group` are the deletes that are due today, and
/// `lost` is a path that is lost today.
fn in_words(due: &Due, group: &Deletes, lost: Option<&String>) -> Option<Why> {
    let Some(over_limit) = &due.over_limit else {
        let path = due.lost_path.as_ref()?;
        return Some(match lost {
            Some(lost) => lost_path_in_words(lost),
            None => Why::new(format!(
                "held: the path `{path}` was missing or empty when this became due"
            ))
            .advice(ALLOW_DELETES),
        });
    };
    let OverLimit { due, allowed, inventory } = over_limit;
    if over_limit.is_whole() {
        let then = if group.due < group.inventory { ", as of first sight" } else { "" };
        let reason = format!(
            "held: nothing would be left of the {inventory} connections of the inventory{then}"
        );
        return Some(Why::new(reason).advice(ALLOW_DELETES));
    }
    // A held delete stays held, also where the numbers are others since.
    let (one, several, holds) = if *over_limit == group.as_limit() {
        ("delete is due", "deletes are due", "holds")
    } else {
        ("delete was due at first sight", "deletes were due at first sight", "held")
    };
    let deletes = if *due == 1 { one } else { several };
    let reason = format!(
        "held by max_deletes: {due} {deletes} and {allowed} allowed (the inventory {holds} {inventory})"
    );
    Some(Why::new(reason).advice(format!("{ALLOW_DELETES}, or raise max_deletes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_below_three() {
        assert_eq!(allowed(MaxDeletes::Percent(30), 100), 30);
        assert_eq!(allowed(MaxDeletes::Percent(30), 19), 5);
        assert_eq!(allowed(MaxDeletes::Percent(30), 2), 3);
        assert_eq!(allowed(MaxDeletes::Count(1), 100), 1);
        assert_eq!(allowed(MaxDeletes::Count(0), 100), 0);
    }

    fn group(max: MaxDeletes, due: usize, inventory: usize) -> Deletes {
        Deletes { max, due, inventory, deleted_elsewhere: 0 }
    }

    #[test]
    fn deletes_over_the_limit_stay_held_in_a_larger_inventory() {
        let held = group(MaxDeletes::Percent(30), 4, 10).over_limit(None);
        assert!(held.is_some());
        let again = |max, due| group(max, due, 1000).over_limit(held.as_ref());
        assert!(again(MaxDeletes::Percent(30), 4).is_some(), "a larger inventory does not free it");
        assert!(again(MaxDeletes::Percent(30), 1).is_some(), "nor does a smaller group");
        assert!(again(MaxDeletes::Percent(50), 4).is_none(), "a higher max_deletes does");
    }

    #[test]
    fn a_limit_whose_numbers_are_others_today_is_told_as_it_was_at_first_sight() {
        let then = group(MaxDeletes::Count(3), 5, 10);
        let over_limit = then.over_limit(None);
        let told = |today: &Deletes| {
            let due = Due { over_limit: over_limit.clone(), ..Due::default() };
            in_words(&due, today, None).unwrap().reason
        };
        let today = "5 deletes are due and 3 allowed (the inventory holds 10)";
        assert!(told(&then).contains(today), "{}", told(&then));
        for (max, due, inventory) in [(3, 4, 10), (4, 5, 10), (3, 5, 1000)] {
            let told = told(&group(MaxDeletes::Count(max), due, inventory));
            let at_first_sight =
                "5 deletes were due at first sight and 3 allowed (the inventory held 10)";
            assert!(told.contains(at_first_sight), "{told}");
        }
    }

    #[test]
    fn the_whole_inventory_is_always_over_the_limit() {
        let max = MaxDeletes::Count(100);
        let held = group(MaxDeletes::Count(0), 1, 2).over_limit(None);
        let raised = group(MaxDeletes::Count(2), 2, 2).over_limit(held.as_ref());
        assert!(
            group(max, 2, 3).over_limit(raised.as_ref()).is_some(),
            "a create does not free it"
        );
        assert!(group(max, 2, 2).over_limit(None).is_some());
        assert!(group(max, 1, 1).over_limit(None).is_none());
        assert!(group(max, 2, 3).over_limit(None).is_none());
    }
}
