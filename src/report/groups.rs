//! Changes that are told together: those that are held or blocked for one and the same reason are
//! one reason, one way past it, and their names.

use std::collections::{BTreeMap, HashMap};

use super::{escape, words};
use crate::plan::{Action, Change, for_the_shell};

/// The most names that stand below one reason; more are counted, unless all are asked for.
pub(super) const MOST_NAMED: usize = 50;

/// Why changes are told together. The texts are harmless already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Why {
    pub(super) reason: String,
    pub(super) advice: Option<String>,
}

/// Changes that are told together.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// Stands above their names; `None`: there is nothing to say of the one change.
    pub(super) why: Option<Why>,
    pub(super) changes: Vec<&'a Change>,
}

/// A line below a reason.
pub(super) enum Named<'a> {
    Change(&'a Change),
    /// So many changes of one action and one type.
    Count(Action, &'a str, usize),
}

/// Groups the changes of a plan: those that are held or blocked, and with `all` every change that
/// has a reason.
pub(super) fn of_plan(changes: Vec<&Change>, all: bool) -> Vec<Group<'_>> {
    let why = |change: &Change| {
        let is_told = all || change.held || change.action == Action::Blocked;
        let reason = words::reason(change).filter(|_| is_told)?;
        let word = if change.action == Action::Blocked { "blocked: " } else { "" };
        Some(Why { reason: format!("{word}{reason}"), advice: None })
    };
    let mut groups = grouped(changes.into_iter().map(|change| (change, why(change))));
    if !all {
        // A change that is alone with its reason is told as any other.
        for group in groups.iter_mut().filter(|group| group.changes.len() == 1) {
            group.why = None;
        }
    }
    groups
}

/// Groups changes by why they are told together, each group in the place of its first change.
pub(super) fn grouped<'a>(
    changes: impl Iterator<Item = (&'a Change, Option<Why>)>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut places: HashMap<Why, usize> = HashMap::new();
    for (change, why) in changes {
        let for_any = |advice| escape::plain(&for_any_name(advice, change.name.as_str()));
        let advice = change.advice.as_deref().map(for_any);
        let why = why.map(|why| Why { advice, ..why });
        let known = why.as_ref().and_then(|why| places.get(why));
        if let Some(group) = known.and_then(|place| groups.get_mut(*place)) {
            group.changes.push(change);
            continue;
        }
        if let Some(why) = &why {
            places.insert(why.clone(), groups.len());
        }
        groups.push(Group { why, changes: vec![change] });
    }
    for group in &mut groups {
        if let ([change], Some(why)) = (&group.changes[..], &mut group.why) {
            why.advice = change.advice.as_deref().map(escape::plain);
        }
    }
    groups
}

/// The way past, with `NAME` for the name of the connection, which stands in quotes there.
pub(super) fn for_any_name(advice: &str, name: &str) -> String {
    advice.replace(&for_the_shell(name), "NAME")
}

impl<'a> Group<'a> {
    /// The names below the reason: one by one, or counted where they are too many.
    pub(super) fn named(&self, lists_all: bool) -> Vec<Named<'a>> {
        if lists_all || self.changes.len() <= MOST_NAMED {
            return self.changes.iter().map(|change| Named::Change(change)).collect();
        }
        let mut counts: BTreeMap<(&str, &str), (Action, usize)> = BTreeMap::new();
        for change in &self.changes {
            let key = (change.action.as_str(), change.type_name.as_str());
            counts.entry(key).or_insert((change.action, 0)).1 += 1;
        }
        let counts = counts.into_iter();
        counts.map(|((_, name), (action, count))| Named::Count(action, name, count)).collect()
    }
}

/// So many names that are not listed.
pub(super) fn names(count: usize) -> String {
    format!("{count} {}", if count == 1 { "name" } else { "names" })
}
